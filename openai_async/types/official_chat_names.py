"""The names that the official SDK has for our types: what `openai.types.chat` exports.

They are the same objects, so only the import of an annotation changes.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from .chat_message_params import (
    AssistantMessage,
    ChatCompletionMessageParam,
    ContentPart,
    ContentPartImage,
    ContentPartInputAudio,
    ContentPartRefusal,
    ContentPartText,
    CustomToolCall,
    DeveloperMessage,
    FunctionMessage,
    FunctionToolCall,
    SystemMessage,
    ToolMessage,
    UserMessage,
)
from .chat_option_params import (
    AllowedTools,
    AllowedToolsChoice,
    AudioOutput,
    CustomTool,
    FunctionTool,
    Named,
    NamedCustomChoice,
    NamedFunctionChoice,
    Prediction,
    StreamOptions,
    ToolChoice,
)
from .chat_params import ChatCompletionParams
from .chat_tool_calls import ChatCompletionMessageToolCall
from .stored_chats import (
    ChatCompletionDeleted,
    ChatCompletionListParams,
    ChatCompletionStoreMessage,
    ChatCompletionUpdateParams,
)

__all__ = [
    "ChatCompletionAllowedToolChoiceParam",
    "ChatCompletionAllowedToolsParam",
    "ChatCompletionAssistantMessageParam",
    "ChatCompletionAudioParam",
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
    "ChatCompletionMessageCustomToolCallParam",
    "ChatCompletionMessageFunctionToolCallParam",
    "ChatCompletionMessageParam",
    "ChatCompletionMessageToolCallParam",
    "ChatCompletionMessageToolCallUnion",
    "ChatCompletionMessageToolCallUnionParam",
    "ChatCompletionModality",
    "ChatCompletionNamedToolChoiceCustomParam",
    "ChatCompletionNamedToolChoiceParam",
    "ChatCompletionPredictionContentParam",
    "ChatCompletionReasoningEffort",
    "ChatCompletionRole",
    "ChatCompletionStoreMessage",
    "ChatCompletionStreamOptionsParam",
    "ChatCompletionSystemMessageParam",
    "ChatCompletionToolChoiceOptionParam",
    "ChatCompletionToolMessageParam",
    "ChatCompletionToolParam",
    "ChatCompletionToolUnionParam",
    "ChatCompletionUserMessageParam",
    "CompletionCreateParams",
    "CompletionListParams",
    "CompletionUpdateParams",
    "CreateChatCompletionRequestMessageParam",
]

# Messages and their parts.
ChatCompletionAssistantMessageParam = AssistantMessage
ChatCompletionDeveloperMessageParam = DeveloperMessage
ChatCompletionFunctionMessageParam = FunctionMessage
ChatCompletionSystemMessageParam = SystemMessage
ChatCompletionToolMessageParam = ToolMessage
ChatCompletionUserMessageParam = UserMessage
CreateChatCompletionRequestMessageParam: TypeAlias = ChatCompletionMessageParam
ChatCompletionContentPartImageParam = ContentPartImage
ChatCompletionContentPartInputAudioParam = ContentPartInputAudio
ChatCompletionContentPartParam: TypeAlias = ContentPart
ChatCompletionContentPartRefusalParam = ContentPartRefusal
ChatCompletionContentPartTextParam = ContentPartText
ChatCompletionMessageCustomToolCallParam = CustomToolCall
ChatCompletionMessageFunctionToolCallParam = FunctionToolCall
ChatCompletionMessageToolCallParam = FunctionToolCall
ChatCompletionMessageToolCallUnion: TypeAlias = ChatCompletionMessageToolCall
ChatCompletionMessageToolCallUnionParam: TypeAlias = FunctionToolCall | CustomToolCall
ChatCompletionRole: TypeAlias = Literal[
    "developer", "system", "user", "assistant", "tool", "function"
]

# Tools.
ChatCompletionAllowedToolChoiceParam = AllowedToolsChoice
ChatCompletionAllowedToolsParam = AllowedTools
ChatCompletionCustomToolParam = CustomTool
ChatCompletionFunctionCallOptionParam = Named
ChatCompletionFunctionToolParam = FunctionTool
ChatCompletionNamedToolChoiceCustomParam = NamedCustomChoice
ChatCompletionNamedToolChoiceParam = NamedFunctionChoice
ChatCompletionToolChoiceOptionParam: TypeAlias = ToolChoice
ChatCompletionToolParam = FunctionTool
ChatCompletionToolUnionParam: TypeAlias = FunctionTool | CustomTool

# The other parameters.
ChatCompletionAudioParam = AudioOutput
ChatCompletionModality: TypeAlias = Literal["text", "audio"]
ChatCompletionPredictionContentParam = Prediction
ChatCompletionReasoningEffort: TypeAlias = (
    Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None
)
ChatCompletionStreamOptionsParam = StreamOptions
CompletionCreateParams = ChatCompletionParams
CompletionListParams = ChatCompletionListParams
CompletionUpdateParams = ChatCompletionUpdateParams
