"""A page that asks a question, in Django.

uvicorn django_app:app --timeout-graceful-shutdown 5
"""

import logging

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import path

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

log = logging.getLogger(__name__)
client = AsyncClient()  # reads OPENAI_API_KEY and OPENAI_BASE_URL


async def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(PAGE)


async def answer(request: HttpRequest) -> HttpResponseBase:
    stream = client.chat.completions.create(
        model="gpt-5.4-mini",
        messages=[{"role": "user", "content": request.GET.get("q", "")}],
        stream=True,
    )
    relay = stream.sse(form="text")
    try:
        await relay.begin(3)
    except OpenAIError as error:
        log.warning("No answer: %s", error)
        status = getattr(error, "status_code", None) or 502
        return JsonResponse({"error": {"message": error.safe_message}}, status=status)
    return StreamingHttpResponse(relay, headers=relay.headers)


urlpatterns = [path("", page), path("answer", answer)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
app = get_asgi_application()
