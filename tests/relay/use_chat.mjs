// A page with the hook `useChat`, rendered without a browser. It sends the texts one by one, answers
// each call of `add` with the sum of its input, stops an answer once it shows `stopAt`, or is
// reloaded once it shows `reloadAt`, and prints what it shows in the end.
import { Chat, useChat } from "@ai-sdk/react";
import { DefaultChatTransport, lastAssistantMessageIsCompleteWithToolCalls } from "ai";
import { setImmediate as turn } from "node:timers/promises";
import { createElement, useEffect } from "react";
import { create } from "react-test-renderer";

const { api, texts, stopAt, reloadAt } = JSON.parse(process.argv[2]);
const finished = [];
const chatOf = (options) => {
  const chat = new Chat({
    ...options,
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
  return chat;
};
let chat = chatOf({});

let shown;

function Page() {
  shown = useChat({ chat });
  const parts = shown.messages.at(-1)?.parts ?? [];
  const shows = parts.some((part) => part.text && [stopAt, reloadAt].includes(part.text));
  useEffect(() => {
    if (shows) chat.stop();
  }, [shows]);
  return null;
}

let page = create(createElement(Page));
for (const text of texts) await chat.sendMessage({ text });
if (reloadAt) {
  page.unmount();
  chat = chatOf({ id: chat.id, messages: chat.messages.slice(0, 1) });
  page = create(createElement(Page));
  await chat.resumeStream();
}
// The page is rendered a moment after each change.
const isRendered = () => shown?.messages === chat.messages && shown.status === chat.status;
while (!isRendered()) await turn();
const { messages, status, error } = shown;
console.log(JSON.stringify({ messages, status, error: error?.message, finished }));
