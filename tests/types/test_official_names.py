"""The names of `openai.types` that exist here too, and why the others do not.

The names are those of openai 3.57. The package is not needed: the names are listed here.
"""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import openai_async.types
from openai_async.types import chat, chat_message_params, official_chat_names

OFFICIAL = {
    "openai_async.types": """
        AllModels AudioModel AudioResponseFormat AutoFileChunkingStrategyParam Batch
        BatchCreateParams BatchError BatchListParams BatchRequestCounts BatchUsage ChatModel
        ComparisonFilter Completion CompletionChoice CompletionCreateParams CompletionUsage
        CompoundFilter ContainerCreateParams ContainerCreateResponse ContainerListParams
        ContainerListResponse ContainerRetrieveResponse ContentProvenanceCheck
        ContentProvenanceCheckCreateParams CreateEmbeddingResponse CustomToolInputFormat
        Decision DecisionCreateParams DecisionInputImageParam DecisionInputJSON
        DecisionInputMessageParam DecisionInputMessageUnionParam DecisionInputPartUnionParam
        DecisionInputTextParam DecisionPromptCacheBreakpointParam DecisionQuestionInputImage
        DecisionQuestionInputPart DecisionQuestionInputText DeletedSkill Embedding
        EmbeddingCreateParams EmbeddingModel ErrorObject EvalCreateParams EvalCreateResponse
        EvalCustomDataSourceConfig EvalDeleteResponse EvalListParams EvalListResponse
        EvalRetrieveResponse EvalStoredCompletionsDataSourceConfig EvalUpdateParams
        EvalUpdateResponse FileChunkingStrategy FileChunkingStrategyParam FileContent
        FileCreateParams FileDeleted FileListParams FileObject FilePurpose
        FunctionDefinition FunctionParameters Image ImageCreateVariationParams
        ImageEditCompletedEvent ImageEditParams ImageEditPartialImageEvent
        ImageEditStreamEvent ImageGenCompletedEvent ImageGenPartialImageEvent
        ImageGenStreamEvent ImageGenerateParams ImageInputReferenceParam ImageModel
        ImagesResponse Metadata Model ModelDeleted Moderation ModerationCreateParams
        ModerationCreateResponse ModerationImageURLInputParam ModerationModel
        ModerationMultiModalInputParam ModerationTextInputParam OAuthErrorCode
        OtherFileChunkingStrategyObject Reasoning ReasoningEffort ReconnectingEvent
        ReconnectingOverrides ResponseFormatJSONObject ResponseFormatJSONSchema
        ResponseFormatText ResponseFormatTextGrammar ResponseFormatTextPython ResponsesModel
        Skill SkillCreateParams SkillList SkillListParams SkillUpdateParams
        StaticFileChunkingStrategy StaticFileChunkingStrategyObject
        StaticFileChunkingStrategyObjectParam StaticFileChunkingStrategyParam
        SyncWebSocketConnectionOptions Upload UploadCompleteParams UploadCreateParams
        VectorStore VectorStoreCreateParams VectorStoreDeleted VectorStoreListParams
        VectorStoreSearchParams VectorStoreSearchResponse VectorStoreUpdateParams Video
        VideoCreateCharacterParams VideoCreateCharacterResponse VideoCreateError
        VideoCreateParams VideoDeleteResponse VideoDownloadContentParams VideoEditParams
        VideoExtendParams VideoGetCharacterResponse VideoListParams VideoModel
        VideoModelParam VideoRemixParams VideoSeconds VideoSize WebSocketConnectionOptions
        WebsocketConnectionOptions
    """,
    "openai_async.types.chat": """
        ChatCompletion ChatCompletionAllowedToolChoiceParam ChatCompletionAllowedToolsParam
        ChatCompletionAssistantMessageParam ChatCompletionAudio ChatCompletionAudioParam
        ChatCompletionChunk ChatCompletionContentPartImage
        ChatCompletionContentPartImageParam ChatCompletionContentPartInputAudioParam
        ChatCompletionContentPartParam ChatCompletionContentPartRefusalParam
        ChatCompletionContentPartText ChatCompletionContentPartTextParam
        ChatCompletionCustomToolParam ChatCompletionDeleted
        ChatCompletionDeveloperMessageParam ChatCompletionFunctionCallOptionParam
        ChatCompletionFunctionMessageParam ChatCompletionFunctionTool
        ChatCompletionFunctionToolParam ChatCompletionMessage
        ChatCompletionMessageCustomToolCall ChatCompletionMessageCustomToolCallParam
        ChatCompletionMessageFunctionToolCall ChatCompletionMessageFunctionToolCallParam
        ChatCompletionMessageParam ChatCompletionMessageToolCall
        ChatCompletionMessageToolCallParam ChatCompletionMessageToolCallUnion
        ChatCompletionMessageToolCallUnionParam ChatCompletionModality
        ChatCompletionNamedToolChoiceCustomParam ChatCompletionNamedToolChoiceParam
        ChatCompletionPredictionContentParam ChatCompletionReasoningEffort
        ChatCompletionRole ChatCompletionStoreMessage ChatCompletionStreamOptionsParam
        ChatCompletionSystemMessageParam ChatCompletionTokenLogprob
        ChatCompletionToolChoiceOptionParam ChatCompletionToolMessageParam
        ChatCompletionToolParam ChatCompletionToolUnionParam ChatCompletionUserMessageParam
        CompletionCreateParams CompletionListParams CompletionUpdateParams
        CreateChatCompletionRequestMessageParam ParsedChatCompletion
        ParsedChatCompletionMessage ParsedChoice ParsedFunction ParsedFunctionToolCall
    """,
    "openai_async.types.shared_params": """
        ChatModel ComparisonFilter CompoundFilter CustomToolInputFormat DecisionInputJSON
        DecisionQuestionInputImage DecisionQuestionInputPart DecisionQuestionInputText
        FunctionDefinition FunctionParameters Metadata OAuthErrorCode Reasoning
        ReasoningEffort ResponseFormatJSONObject ResponseFormatJSONSchema ResponseFormatText
        ResponsesModel
    """,
}

NOT_YET = "no such API here yet"
# The beginning of a name, or all of it.
LEFT_OUT = {
    **dict.fromkeys(
        (
            *("Audio", "Completion", "Compound", "Comparison", "Container", "ContentProvenance"),
            *("Custom", "Decision", "DeletedSkill", "Eval", "Reasoning", "Reconnecting"),
            *("Responses", "Skill", "StaticFile", "AutoFile", "OtherFile", "FileChunking"),
            *("VectorStore", "Video", "SyncWebSocket", "WebSocket", "Websocket", "OAuth"),
            *("ResponseFormat", "Function", "ErrorObject"),
        ),
        NOT_YET,
    ),
    **dict.fromkeys(
        ("AllModels", "ChatModel", "EmbeddingModel", "ImageModel", "ModerationModel"),
        "models are plain strings: any server has others",
    ),
    "Metadata": "it is a parameter: types.shared_params",
    "ImageInputReferenceParam": "ours is image_params.ImageReference, with all fields of the API",
    "ChatCompletionContentPartImage": "content_parts of a stored message are dicts",
    "ChatCompletionContentPartText": "content_parts of a stored message are dicts",
    "ChatCompletionFunctionTool": NOT_YET,
    "ParsedFunction": "ParsedFunctionToolCall has the parsed arguments itself",
}


def reason(name: str) -> str | None:
    known = [beginning for beginning in LEFT_OUT if name.startswith(beginning)]
    return LEFT_OUT[max(known, key=len)] if known else None


@pytest.mark.parametrize("module", OFFICIAL)
def test_each_official_name_exists_or_is_left_out_for_a_reason(module: str) -> None:
    ours = importlib.import_module(module)
    missing = {name for name in OFFICIAL[module].split() if not hasattr(ours, name)}
    assert {name for name in missing if reason(name) is None} == set()


def test_no_reason_is_outdated() -> None:
    missing = {
        name
        for module, names in OFFICIAL.items()
        for name in names.split()
        if not hasattr(importlib.import_module(module), name)
    }
    unused = {start for start in LEFT_OUT if not any(name.startswith(start) for name in missing)}
    assert unused == set()


@pytest.mark.parametrize("module", OFFICIAL)
def test_the_names_are_in_all_and_no_other_is_claimed(module: str) -> None:
    ours = importlib.import_module(module)
    assert ours.__all__ == sorted({*ours.__all__})
    assert all(hasattr(ours, name) for name in ours.__all__)
    if module != "openai_async.types.chat":  # which has some more, as it always did
        assert {*ours.__all__} <= {*OFFICIAL[module].split()}


def test_the_aliases_of_chats_are_official_names() -> None:
    assert {*official_chat_names.__all__} <= {*OFFICIAL["openai_async.types.chat"].split()}
    assert chat.ChatCompletionUserMessageParam is chat_message_params.UserMessage


def test_python_and_type_checkers_see_the_same_names_in_the_same_modules() -> None:
    source = Path(openai_async.types.__file__).read_text(encoding="utf-8")
    block = next(node for node in ast.parse(source).body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    seen = {(node.module, alias.name) for node in imports for alias in node.names}
    table = openai_async.types._MODULES.items()
    assert seen == {(module, name) for module, names in table for name in names}
    assert sorted(name for _, name in seen) == openai_async.types.__all__


def test_an_unknown_name_is_the_usual_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        _ = openai_async.types.no_such_name  # type: ignore[attr-defined]
