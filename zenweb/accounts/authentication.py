"""Bearer tokens for REST: an API key itself, or an access token got with one."""

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from zenweb.accounts.models import ApiKey, User
from zenweb.accounts.tokens import Credentials, authenticate_bearer
from zenweb.exceptions import CredentialsNotValid


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <key or token>`; `request.auth` is the key that was used, if any."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey | None] | None:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        if not text.strip():
            raise CredentialsNotValid(
                "The Authorization header names no token: send `Authorization: Bearer <API key>`."
            )
        credentials = self.recognise(text.strip())
        return credentials.user, credentials.api_key

    def recognise(self, text: str) -> Credentials:
        return authenticate_bearer(text)

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"
