"""What the frameworks are asked about, with a tool to call and a type to fill."""

from pydantic import BaseModel

QUESTION = "Why is the sky blue?"
ABOUT_WEATHER = "What is the weather in Oslo?"


class City(BaseModel):
    name: str
    country: str


def get_weather(city: str) -> str:
    """The weather now."""
    return f"4 degrees in {city}"
