"""The models the server knows: listed, looked up, and deleted when they belong to a user."""

from collections.abc import Iterable
from typing import Any

from .responses import RefusedError

# Not one of OpenAI's owners: these models may be deleted.
_USER = "user-local"
_CREATED_BY_DEFAULT = 1704067200
_OPENAI_OWNERS = ("system", "openai")

# For models whose date is not in their name.
_IN_2026 = 1767225600

# Those that existing tests ask for, and the current ones.
_BUILT_IN = (
    ("gpt-4o", 1715367049, "system"),
    ("gpt-4o-mini", 1721172741, "system"),
    ("gpt-4-turbo", 1712361441, "system"),
    ("gpt-3.5-turbo", 1677610602, "openai"),
    ("gpt-5.4", _IN_2026, "system"),
    ("gpt-5.4-mini", 1773705600, "system"),
    ("gpt-5.4-nano", 1773705600, "system"),
    ("gpt-5.5", 1776902400, "system"),
    ("gpt-5.6-sol", _IN_2026, "system"),
    ("gpt-5.6-terra", _IN_2026, "system"),
    ("gpt-5.6-luna", _IN_2026, "system"),
    ("gpt-6.2-sol", _IN_2026, "system"),
    ("gpt-6.1-terra", _IN_2026, "system"),
    ("gpt-6-luna", _IN_2026, "system"),
    ("gpt-audio", 1756339200, "system"),
    ("dall-e-2", 1698798177, "system"),
    ("dall-e-3", 1698785189, "system"),
    ("gpt-image-1", 1745517030, "system"),
    ("gpt-image-1.5", _IN_2026, "system"),
    ("gpt-image-2", 1776729600, "system"),
    ("gpt-image-2.5-sunburst", 1788825600, "system"),
    ("gpt-image-2.5-flare", 1788825600, "system"),
    ("text-embedding-3-small", 1705948997, "system"),
    ("text-embedding-3-large", 1705953180, "system"),
    ("text-embedding-ada-002", 1671217299, "openai"),
    ("omni-moderation-latest", 1731689265, "system"),
    ("omni-moderation-2024-09-26", 1732734466, "system"),
    ("ft:gpt-4o-mini:local:demo:1", 1735689600, _USER),
)
DEFAULT_MODELS: tuple[str, ...] = tuple(model for model, _, _ in _BUILT_IN)


class ModelStore:
    """The models that a server lists. Unless it is strict, it accepts all others as well."""

    def __init__(self, models: Iterable[str], *, strict: bool = False) -> None:
        if not isinstance(strict, bool):
            msg = f"strict_models must be True or False, not {strict!r}."
            raise ValueError(msg)
        if isinstance(models, str):
            msg = "models must be a list of model ids, not one string."
            raise ValueError(msg)
        known = {model: (created, owner) for model, created, owner in _BUILT_IN}
        self._strict = strict
        self._deleted: set[str] = set()
        self._models: dict[str, dict[str, Any]] = {}
        for model in models:
            if not isinstance(model, str) or not model:
                msg = f"A model id must be a non-empty string, not {model!r}."
                raise ValueError(msg)
            by_default = (_CREATED_BY_DEFAULT, _USER if model.startswith("ft:") else "system")
            self._models[model] = _entry(model, *known.get(model, by_default))

    def list(self) -> dict[str, Any]:
        return {"object": "list", "data": [*self._models.values()]}

    def get(self, model: str) -> dict[str, Any]:
        """A model that the server accepts."""
        if self._strict or model in self._models or model in self._deleted:
            return self.listed(model)
        return _entry(model, _CREATED_BY_DEFAULT, _USER)

    def listed(self, model: str) -> dict[str, Any]:
        """A model that is listed."""
        try:
            return self._models[model]
        except KeyError:
            msg = f"The model '{model}' does not exist or you do not have access to it."
            raise RefusedError(404, msg, code="model_not_found", param="model") from None

    def delete(self, model: str) -> dict[str, Any]:
        if self.listed(model)["owned_by"] in _OPENAI_OWNERS:
            msg = f"You have insufficient permissions to delete the model '{model}'."
            raise RefusedError(403, msg, type="permission_error", param="model")
        del self._models[model]
        self._deleted.add(model)
        return {"id": model, "object": "model", "deleted": True}


def _entry(model: str, created: int, owner: str) -> dict[str, Any]:
    return {"id": model, "object": "model", "created": created, "owned_by": owner}
