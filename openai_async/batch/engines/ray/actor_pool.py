"""The actors of the Ray engine: workers, and the limiter that they share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ....client import AsyncClient
from ....errors import InvalidArgumentError
from ....options import RateLimit
from .cluster import cpus, require_ray
from .shared_limit import Limiter
from .worker import Worker

if TYPE_CHECKING:
    from ...parsing import Parsing

# Concurrent calls of an actor: the limiter has one for each worker and model.
MAX_CONCURRENT_CALLS = 10_000


class ActorPool:
    """Spawns workers, and the limiter they share. Blocking.

    Raises:
        InvalidArgumentError: the client or the type of the answers cannot be pickled.
    """

    def __init__(
        self,
        client: AsyncClient,
        *,
        limit: RateLimit | None,
        concurrency: int,
        workers: int | None,
        parsing: Parsing | None = None,
    ) -> None:
        self.ray = require_ray()
        self.size = min(cpus() if workers is None else workers, concurrency)
        self._concurrency = concurrency
        self._client = self._put(client, "client")
        self._parsing = None if parsing is None else self._put(parsing, "type of the answers")
        # More workers than CPUs take a fraction of one each: otherwise some would never start.
        share = min(1.0, int(1000 * cpus() / self.size) / 1000)
        self._worker = self.ray.remote(Worker).options(
            num_cpus=share, max_concurrency=MAX_CONCURRENT_CALLS
        )
        self.limiter = None if limit is None else self._new_limiter(limit)

    def concurrency_of(self, number: int) -> int:
        """How many requests worker `number` has in flight."""
        each, more = divmod(self._concurrency, self.size)
        return each + (number < more)

    def spawn(self, name: str, concurrency: int, flush_at: int) -> Any:
        """Start a new worker."""
        return self._worker.remote(
            self._client,
            self.limiter,
            name=name,
            concurrency=concurrency,
            flush_at=flush_at,
            parsing=self._parsing,
        )

    def kill(self, actor: Any) -> None:
        """End an actor at once."""
        self.ray.kill(actor)

    def _put(self, value: object, what: str) -> Any:
        """Put an object into the object store, pickled once for all workers."""
        try:
            return self.ray.put(value)
        except InvalidArgumentError:
            raise
        except Exception as error:  # the user's functions and objects may raise anything
            msg = f"The {what} cannot be sent to Ray's workers: {error}"
            raise InvalidArgumentError(msg) from error

    def _new_limiter(self, limit: RateLimit) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        # On the node of this process, without which the run ends anyway. If the actor alone dies,
        # Ray restarts it and repeats the calls that were in progress.
        here = self.ray.get_runtime_context().get_node_id()
        return (
            self.ray.remote(Limiter)
            .options(
                num_cpus=0,
                max_concurrency=MAX_CONCURRENT_CALLS,
                max_restarts=-1,
                max_task_retries=-1,
                scheduling_strategy=NodeAffinitySchedulingStrategy(here, soft=True),
            )
            .remote(limit)
        )
