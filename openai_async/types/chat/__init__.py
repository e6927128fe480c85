"""The names of the Chat Completions API: answers, events, and parameters as in the official SDK.

They are defined in the modules beside this package, which are imported when a name that needs them
is first used. Our own code imports from those modules.
"""

from typing import TYPE_CHECKING

from ..._submodules import LazyModule, names_of

__all__ = [
    "Annotation",
    "AnnotationURLCitation",
    "ChatCompletion",
    "ChatCompletionAllowedToolChoiceParam",
    "ChatCompletionAllowedToolsParam",
    "ChatCompletionAssistantMessageParam",
    "ChatCompletionAudio",
    "ChatCompletionAudioParam",
    "ChatCompletionChunk",
    "ChatCompletionContentPartImageParam",
    "ChatCompletionContentPartInputAudioParam",
    "ChatCompletionContentPartParam",
    "ChatCompletionContentPartRefusalParam",
    "ChatCompletionContentPartTextParam",
    "ChatCompletionCustomToolParam",
    "ChatCompletionDeleted",
    "ChatCompletionDeveloperMessageParam",
    "ChatCompletionFunctionCallOptionParam",
    "ChatCompletionFunctionMessageParam",
    "ChatCompletionFunctionToolParam",
    "ChatCompletionMessage",
    "ChatCompletionMessageCustomToolCall",
    "ChatCompletionMessageCustomToolCallParam",
    "ChatCompletionMessageFunctionToolCall",
    "ChatCompletionMessageFunctionToolCallParam",
    "ChatCompletionMessageParam",
    "ChatCompletionMessageToolCall",
    "ChatCompletionMessageToolCallParam",
    "ChatCompletionMessageToolCallUnion",
    "ChatCompletionMessageToolCallUnionParam",
    "ChatCompletionModality",
    "ChatCompletionModeration",
    "ChatCompletionNamedToolChoiceCustomParam",
    "ChatCompletionNamedToolChoiceParam",
    "ChatCompletionPredictionContentParam",
    "ChatCompletionReasoningEffort",
    "ChatCompletionRole",
    "ChatCompletionStoreMessage",
    "ChatCompletionStreamOptionsParam",
    "ChatCompletionSystemMessageParam",
    "ChatCompletionTokenLogprob",
    "ChatCompletionToolChoiceOptionParam",
    "ChatCompletionToolMessageParam",
    "ChatCompletionToolParam",
    "ChatCompletionToolUnionParam",
    "ChatCompletionUserMessageParam",
    "Choice",
    "ChoiceDelta",
    "ChoiceDeltaAudio",
    "ChoiceDeltaCustom",
    "ChoiceDeltaFunction",
    "ChoiceDeltaToolCall",
    "ChoiceLogprobs",
    "ChunkChoice",
    "CompletionCreateParams",
    "CompletionListParams",
    "CompletionTokensDetails",
    "CompletionUpdateParams",
    "CompletionUsage",
    "CreateChatCompletionRequestMessageParam",
    "Custom",
    "EstimatedUsage",
    "FinishReason",
    "Function",
    "ModerationOutcome",
    "ModerationResult",
    "ParsedChatCompletion",
    "ParsedChatCompletionMessage",
    "ParsedChoice",
    "ParsedFunctionToolCall",
    "ParsedToolCall",
    "PromptTokensDetails",
    "TopLogprob",
]

if TYPE_CHECKING:
    from ..chat_chunk import *  # noqa: F403
    from ..chat_common import *  # noqa: F403
    from ..chat_completion import *  # noqa: F403
    from ..chat_logprobs import *  # noqa: F403
    from ..chat_message_parts import *  # noqa: F403
    from ..chat_moderation import *  # noqa: F403
    from ..chat_tool_calls import *  # noqa: F403
    from ..official_chat_names import *  # noqa: F403
    from ..parsed_chats import *  # noqa: F403
else:
    _TYPES = __package__.rpartition(".")[0]
    _PARTS = (
        *("chat_completion", "chat_common", "chat_chunk", "chat_tool_calls"),
        *("chat_message_parts", "chat_logprobs", "chat_moderation", "official_chat_names"),
        "parsed_chats",
    )
    _modules = [LazyModule(f"{_TYPES}.{name}") for name in _PARTS]
    __getattr__, __dir__ = names_of(_modules, globals())
