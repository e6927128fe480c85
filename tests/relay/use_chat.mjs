// A page with the hook `useChat`, rendered without a browser. It sends the texts one by one, answers
// each call of `add` with the sum of its input, stops an answer once it shows `stopAt`, and prints
// what it shows at last.
import { Chat, useChat } from "@ai-sdk/react";
import { DefaultChatTransport, lastAssistantMessageIsCompleteWithToolCalls } from "ai";
import { setImmediate as turn } from "node:timers/promises";
import { createElement, useEffect } from "react";
import { create } from "react-test-renderer";

const { api, texts, stopAt } = JSON.parse(process.argv[2]);
const finished = [];
const chat = new Chat({
  transport: new DefaultChatTransport({ api }),
  sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithToolCalls,
  onToolCall: ({ toolCall: { toolName, toolCallId, input } }) => {
    if (toolName !== "add") return;
    const output = Object.values(input).reduce((a, b) => a + b, 0);
    chat.addToolOutput({ tool: toolName, toolCallId, output });
  },
  onFinish: ({ finishReason, isAbort, isError }) =>
    finished.push({ finishReason, isAbort, isError }),
});

let shown;

function Page() {
  shown = useChat({ chat });
  const parts = shown.messages.at(-1)?.parts ?? [];
  const stops = stopAt && parts.some((part) => part.text === stopAt);
  useEffect(() => {
    if (stops) chat.stop();
  }, [stops]);
  return null;
}

create(createElement(Page));
for (const text of texts) await chat.sendMessage({ text });
// The page is rendered a moment after each change.
const isRendered = () => shown?.messages === chat.messages && shown.status === chat.status;
while (!isRendered()) await turn();
const { messages, status, error } = shown;
console.log(JSON.stringify({ messages, status, error: error?.message, finished }));
