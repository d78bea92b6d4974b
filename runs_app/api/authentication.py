"""Who asks over REST: accounts with their keys and tokens, and steps that run."""

from runs_app.step_tokens import is_step_token, user_of_step
from zenweb.accounts import authentication
from zenweb.accounts.tokens import Credentials


class BearerAuthentication(authentication.BearerAuthentication):
    """As for accounts; the token of a step stands for who started its run, as `User.step_in_use` says."""

    def recognise(self, text: str) -> Credentials:
        return Credentials(user_of_step(text)) if is_step_token(text) else super().recognise(text)
