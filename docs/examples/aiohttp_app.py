"""A page that asks a question, in aiohttp.

python aiohttp_app.py
"""

from aiohttp import web

from openai_async import AsyncClient
from openai_async.web import sse_response

PAGE = """<!doctype html>
<form><input name="q" autofocus> <button>Ask</button></form>
<pre></pre>
<script>
const form = document.querySelector("form"), answer = document.querySelector("pre");
form.onsubmit = (submitted) => {
  submitted.preventDefault();
  answer.textContent = "";
  const source = new EventSource("/answer?" + new URLSearchParams(new FormData(form)));
  source.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    if (event.type === "text") answer.append(event.text);
    if (event.type === "done") source.close();
  };
  source.onerror = ({ data }) => { // without data: no connection, or a status other than 200
    answer.append(data ? JSON.parse(data).message : "No answer.");
    source.close();
  };
};
</script>"""

client = AsyncClient()  # reads OPENAI_API_KEY and OPENAI_BASE_URL


async def page(request: web.Request) -> web.Response:
    return web.Response(text=PAGE, content_type="text/html")


async def answer(request: web.Request) -> web.StreamResponse:
    stream = client.chat.completions.create(
        model="gpt-5.4-mini",
        messages=[{"role": "user", "content": request.query.get("q", "")}],
        stream=True,
    )
    return await sse_response(request, stream, form="text")


app = web.Application()
app.router.add_get("/", page)
app.router.add_get("/answer", answer)
app.cleanup_ctx.append(client.cleanup_ctx)

if __name__ == "__main__":
    web.run_app(app, shutdown_timeout=5)
