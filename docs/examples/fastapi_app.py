"""A page that asks a question, in FastAPI.

uvicorn fastapi_app:app --timeout-graceful-shutdown 5
"""

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from openai_async import AsyncClient
from openai_async.web import SSEResponse

PAGE = """<!doctype html>
<form><input name="q" autofocus> <button>Ask</button></form>
<pre></pre>
<script>
const form = document.querySelector("form"), answer = document.querySelector("pre");
form.onsubmit = async (submitted) => {
  submitted.preventDefault();
  answer.textContent = "";
  const response = await fetch("/answer?" + new URLSearchParams(new FormData(form)));
  if (!response.ok) return answer.append((await response.json()).error.message);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = "", part; !(part = await reader.read()).done; ) {
    const events = (rest + part.value).split("\\n\\n");
    rest = events.pop();
    for (const [, data] of events.join("\\n").matchAll(/^data: (.*)$/gm)) {
      const event = JSON.parse(data);
      answer.append(event.type === "text" ? event.text : event.message ?? "");
    }
  }
};
</script>"""

client = AsyncClient()  # reads OPENAI_API_KEY and OPENAI_BASE_URL
app = FastAPI(lifespan=client.lifespan)


@app.get("/", response_class=HTMLResponse)
async def page() -> str:
    return PAGE


@app.get("/answer")
async def answer(q: str) -> SSEResponse:
    stream = client.chat.completions.create(
        model="gpt-5.4-mini",
        messages=[{"role": "user", "content": q}],
        stream=True,
    )
    return SSEResponse(stream, form="text")
