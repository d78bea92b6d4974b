"""`zenweb login`: which server this user's pipelines talk to."""

import platform
import time
import uuid
import webbrowser

import click

from zenweb import __version__, connection
from zenweb.cli.asking import ask_hidden
from zenweb.enums import DeviceLoginError
from zenweb.exceptions import DeviceLoginUnfinished
from zenweb.transport import Transport

ASKED = "-"  # what stands for a key that is not on the command line
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@click.command("login")
@click.argument("url")
@click.option(
    "--api-key",
    envvar="ZENWEB_API_KEY",
    show_envvar=True,
    is_flag=False,
    flag_value=ASKED,
    help="Sign in with a key instead of the browser; without a value it is asked for.",
)
@click.option(
    "--no-browser", is_flag=True, help="Only show the address to open, as on a machine without one."
)
def command(url: str, api_key: str | None, no_browser: bool) -> None:
    """Connect to the server at URL, and remember it. You confirm in the browser that it is you."""
    url = connection.normalised(url)
    nobody = Transport(url, "")
    nobody.get("/info")  # before anybody is asked in vain
    if api_key == ASKED:
        api_key = _asked()
    key = (api_key or _sign_in_by_browser(nobody, opens=not no_browser)).strip()
    user = Transport(url, key).get("/current-user")
    connection.save(server_url=url, api_key=key)
    click.echo(f"Connected to {url} as {user['name']}.")


def _asked() -> str:
    try:
        return ask_hidden("API key")
    except EOFError:
        raise click.UsageError(
            "An API key is asked for, and nobody can answer here: set ZENWEB_API_KEY to it."
        ) from None


def _sign_in_by_browser(server: Transport, *, opens: bool) -> str:
    """Show a code, and wait until it is confirmed. Raises DeviceLoginUnfinished if it is refused or too late."""
    client_id = str(uuid.uuid4())
    asked = server.request(
        "POST",
        "/device_authorization",
        data={"client_id": client_id},
        headers={"User-Agent": _introduction()},
    )
    address = asked["verification_uri_complete"]
    click.echo(f"Open this page and confirm the code {asked['user_code']}:\n  {address}")
    if opens:
        webbrowser.open(address)
    click.echo("Waiting for you to confirm it …")
    asking = {"grant_type": DEVICE_GRANT, "client_id": client_id, "device_code": asked["device_code"]}
    while True:
        try:
            return str(server.request("POST", "/login", data=asking)["access_token"])
        except DeviceLoginUnfinished as error:
            if error.reason is not DeviceLoginError.PENDING:
                raise
        time.sleep(asked["interval"])


def _introduction() -> str:
    """By which the person who confirms recognises this machine; as ZenML's clients have it."""
    host = "".join(platform.node().split()) or "unknown"
    return f"Host/{host} ZenWeb/{__version__} Python/{platform.python_version()} {platform.system()}"
