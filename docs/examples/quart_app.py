"""A page that asks a question, in Quart.

hypercorn quart_app:app --graceful-timeout 5
"""

from quart import Quart, Response, request

from openai_async import AsyncClient, OpenAIError

PAGE = """<!doctype html>
<pre></pre>
<script>
const answer = document.querySelector("pre");
const source = new EventSource("/answer?q=" + encodeURIComponent(prompt("Ask:")));
source.onmessage = ({ data }) => {
  const event = JSON.parse(data);
  if (event.type === "text") answer.append(event.text);
  if (event.type === "done") source.close();
};
source.onerror = ({ data }) => {
  answer.append(data ? JSON.parse(data).message : "No answer.");
  source.close();
};
</script>"""

client = AsyncClient()  # reads OPENAI_API_KEY and OPENAI_BASE_URL
app = Quart(__name__)
app.after_serving(client.close)


@app.get("/")
async def page() -> str:
    return PAGE


@app.get("/answer")
async def answer() -> Response | tuple[dict[str, object], int]:
    stream = client.chat.completions.create(
        model="gpt-5.4-mini",
        messages=[{"role": "user", "content": request.args.get("q", "")}],
        stream=True,
    )
    relay = stream.sse(form="text")
    try:
        await relay.begin(3)
    except OpenAIError as error:
        app.logger.warning("No answer: %s", error)
        status = getattr(error, "status_code", None) or 502
        return {"error": {"message": error.safe_message}}, status
    response = Response(relay, headers=dict(relay.headers))
    response.timeout = None  # Quart's default, a minute, would cut the answer off
    return response
