"""What the Ray engine starts: workers, and the limiter that they share."""

from __future__ import annotations

from typing import Any

from ....client import AsyncClient
from ....errors import InvalidArgumentError
from ....options import RateLimit
from .cluster import cpus, require_ray
from .shared_limit import Limiter
from .worker import Worker

# Calls that an actor may work on at once: of the limiter, one for each worker and model.
MOST_CALLS = 10_000


class Crew:
    """What makes workers, and the limiter they share. Blocking.

    Raises:
        InvalidArgumentError: the client cannot be sent to other processes.
    """

    def __init__(
        self, client: AsyncClient, *, limit: RateLimit | None, concurrency: int, workers: int | None
    ) -> None:
        self.ray = require_ray()
        self.size = min(cpus() if workers is None else workers, concurrency)
        self._concurrency = concurrency
        self._client = self._sent(client)
        # With more workers than CPUs they share these, or some would never start.
        share = min(1.0, int(1000 * cpus() / self.size) / 1000)
        self._worker = self.ray.remote(Worker).options(num_cpus=share, max_concurrency=MOST_CALLS)
        self.limiter = None if limit is None else self._new_limiter(limit)

    def share(self, number: int) -> int:
        """How many requests worker `number` has in flight."""
        each, more = divmod(self._concurrency, self.size)
        return each + (number < more)

    def hire(self, name: str, concurrency: int, enough: int) -> Any:
        """A new worker."""
        return self._worker.remote(
            self._client, self.limiter, name=name, concurrency=concurrency, enough=enough
        )

    def end(self, actor: Any) -> None:
        """No more of this actor."""
        self.ray.kill(actor)

    def _sent(self, client: AsyncClient) -> Any:
        """The client in the object store: pickled once for all workers."""
        try:
            return self.ray.put(client)
        except InvalidArgumentError:
            raise
        except Exception as error:  # whatever the user's own functions and objects raise
            msg = f"The client cannot be sent to Ray's workers: {error}"
            raise InvalidArgumentError(msg) from error

    def _new_limiter(self, limit: RateLimit) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        # Beside this process, whose end would be the end of the run anyway; and where it dies
        # alone, it starts again, and questions that were under way are asked again.
        here = self.ray.get_runtime_context().get_node_id()
        return (
            self.ray.remote(Limiter)
            .options(
                num_cpus=0,
                max_concurrency=MOST_CALLS,
                max_restarts=-1,
                max_task_retries=-1,
                scheduling_strategy=NodeAffinitySchedulingStrategy(here, soft=True),
            )
            .remote(limit)
        )
