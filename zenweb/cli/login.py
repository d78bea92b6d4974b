"""`zenweb login`: which server this user's pipelines talk to."""

import click

from zenweb import connection
from zenweb.transport import Transport


@click.command("login")
@click.argument("url")
@click.option(
    "--api-key",
    envvar="ZENWEB_API_KEY",
    show_envvar=True,
    help="Asked for when not given; shown by the server when it was made.",
)
def command(url: str, api_key: str | None) -> None:
    """Connect to the server at URL with an API key, and remember both."""
    url = connection.normalised(url)
    Transport(url, "").get("/info")  # before a key is asked for in vain
    key = (api_key or click.prompt("API key", hide_input=True)).strip()
    user = Transport(url, key).get("/current-user")
    connection.save(server_url=url, api_key=key)
    click.echo(f"Connected to {url} as {user['name']}.")
