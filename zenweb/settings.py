"""Django settings: one file, fed by the environment. Nothing else on the server reads `os.environ`."""

import os
import sys
from datetime import timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path

import dj_database_url
from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from zenweb import __version__, patience
from zenweb.enums import StepProcess


def env(name: str, default: str = "") -> str:
    return os.environ.get(name, default)


def env_bool(name: str, default: bool = False) -> bool:
    value = env(name)
    return value.lower() in {"1", "true", "yes", "on"} if value else default


def env_int(name: str, default: int) -> int:
    value = env(name)
    if not value:
        return default
    try:
        return int(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}.") from error


def env_days(name: str, default: int) -> timedelta | None:
    """None: for ever."""
    days = env_int(name, default)
    if not 0 <= days <= 36_500:
        raise ImproperlyConfigured(f"{name} must be a number of days up to 36500, or 0 for ever, not {days}.")
    return timedelta(days=days) if days else None


def env_list(name: str, default: str = "") -> list[str]:
    return [part.strip() for part in env(name, default).split(",") if part.strip()]


def env_numbers(name: str) -> dict[str, int]:
    """`gpu=2,big=1`: a whole number of 1 or more for each name."""
    numbers = {}
    for part in env_list(name):
        key, _, number = (text.strip() for text in part.partition("="))
        if not key or not number.isdecimal() or int(number) < 1:
            raise ImproperlyConfigured(
                f"{name} names queues and how many of their steps may run at once, such as gpu=2,big=1; not {part!r}."
            )
        numbers[key] = int(number)
    return numbers


def env_choice(name: str, default: str, choices: type[StrEnum]) -> str:
    value, known = env(name, default), [choice.value for choice in choices]
    if value not in known:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(known)}, not {value!r}.")
    return value


def environment_like(patterns: list[str]) -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    }


BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env("ZENWEB_DATA_DIR", str(Path.cwd() / ".zenweb"))).resolve()
VERSION = __version__
# What ZenML clients are told when they ask which server this is.
ZENML_API_VERSION = "0.84.3"

# Safety
DEBUG = env_bool("ZENWEB_DEBUG")
SECRET_KEY = env("ZENWEB_SECRET_KEY")
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "ZENWEB_SECRET_KEY is not set. `zenweb up` makes one and keeps it in the data folder."
    )
# Secrets among the values of runs and schedules are sealed with the first of these; all of them open what is sealed.
ENCRYPTION_KEYS = [*env("ZENWEB_ENCRYPTION_KEYS").split(), SECRET_KEY]
ALLOWED_HOSTS = env_list("ZENWEB_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
PUBLIC_URL = env("ZENWEB_PUBLIC_URL", "http://127.0.0.1:8000").rstrip("/")
IS_HTTPS = PUBLIC_URL.startswith("https://")
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_HTTPS
SECURE_HSTS_SECONDS = env_int("ZENWEB_HSTS_SECONDS", 3600 if IS_HTTPS else 0)
# What the domain's other hosts speak is theirs to know: only who runs them all can promise it.
SECURE_HSTS_INCLUDE_SUBDOMAINS = env_bool("ZENWEB_HSTS_SUBDOMAINS")
SECURE_HSTS_PRELOAD = env_bool("ZENWEB_HSTS_PRELOAD")
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]  # they want both from everybody
SECURE_SSL_REDIRECT = env_bool("ZENWEB_SSL_REDIRECT", IS_HTTPS)
# The proxy is believed what it says of the client: by which scheme, and from which address.
BEHIND_PROXY = env_bool("ZENWEB_BEHIND_PROXY")
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
SESSION_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-src": [SELF],
        "frame-ancestors": [NONE],
    }
}

# Applications
INSTALLED_APPS = [
    "zenweb.accounts",
    "templates_app",
    "runs_app",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "crispy_forms",
    "crispy_bootstrap5",
    "django_htmx",
    "csp",
    "drf_spectacular_sidecar",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "zenweb.page_cache.vary_on_htmx",
    "zenweb.accounts.origins.remember_origin",
    "zenweb.accounts.standing.remember_standings",
]
ROOT_URLCONF = "zenweb.urls"
WSGI_APPLICATION = "zenweb.wsgi.application"
APPEND_SLASH = False  # a redirect would turn a client's POST into GET
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "zenweb" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
CRISPY_ALLOWED_TEMPLATE_PACKS = CRISPY_TEMPLATE_PACK = "bootstrap5"

# Database
DATABASE_PATIENCE = 10  # seconds until a thread that gets no connection is told so
DATABASES = {
    "default": dj_database_url.parse(
        env("DATABASE_URL", f"sqlite:///{DATA_DIR / 'zenweb.sqlite3'}"),
        conn_max_age=None,
        conn_health_checks=True,
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["ENGINE"] = "zenweb.sqlite"
    DATABASES["default"]["OPTIONS"] = {
        # A transaction that will write takes the lock at once: it then waits its turn instead of failing half-way.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        # NORMAL survives kill -9 but may lose the last commits at a power loss; FULL costs an fsync per commit.
        "init_command": (
            f"PRAGMA journal_mode=WAL; PRAGMA synchronous={env('ZENWEB_SQLITE_SYNCHRONOUS', 'NORMAL')};"
            "PRAGMA foreign_keys=ON; PRAGMA cache_size=-16000; PRAGMA temp_store=MEMORY;"
        ),
    }
if DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    try:
        from psycopg_pool.base import AttemptWithBackoff
    except ImportError as error:
        raise ImproperlyConfigured(
            'DATABASE_URL names PostgreSQL, whose part is not installed: pip install "zenweb[server,postgresql]".'
        ) from error

    # Of its tries to connect again, in seconds; each pause is twice the last. With one of a second, a database that
    # is restarted often would seem to be away for most of the time.
    AttemptWithBackoff.INITIAL_DELAY = 0.1
    # A thread takes a connection from its process's pool for a request or a step's transactions, and gives it back.
    DATABASES["default"]["CONN_MAX_AGE"] = 0
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 5,
        # What is asked again and again is planned once per connection: planning takes as long as all the rest of it.
        "server_side_binding": True,
        "prepare_threshold": 3,
        # Whoever stands still in the middle of a transaction may not hold up others for longer than a worker may.
        "options": f"-c idle_in_transaction_session_timeout={env_int('ZENWEB_WORKER_LEASE', 8)}s",
        "pool": {
            "min_size": 1,
            "max_size": env_int("ZENWEB_DATABASE_CONNECTIONS", 20),
            "timeout": DATABASE_PATIENCE,
            # No longer than its callers wait, or the pauses between its tries would grow to minutes.
            "reconnect_timeout": DATABASE_PATIENCE,
        },
        **DATABASES["default"].get("OPTIONS", {}),
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Accounts
AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"
PASSWORD_HASHERS = [
    "zenweb.accounts.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ACCESS_TOKEN_LIFETIME = timedelta(hours=1)
# Of the key that a program gets which was signed in through the browser.
DEVICE_LOGIN_LIFETIME = timedelta(days=env_int("ZENWEB_DEVICE_LOGIN_DAYS", 90))
SESSION_ENGINE = "zenweb.accounts.sessions"
# What was done, by whom and from where, is removed when it is older than this.
KEEP_AUDIT = env_days("ZENWEB_KEEP_AUDIT", 0)
# So long a request that is sent again with its Idempotency-Key does nothing again.
KEEP_IDEMPOTENCY_KEYS = env_days("ZENWEB_KEEP_IDEMPOTENCY_KEYS", 7)

# REST
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        # Bearer first: its WWW-Authenticate header is what makes a refused client log in.
        "runs_app.api.authentication.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["zenweb.api.rendering.WireJSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["zenweb.api.parsing.StrictJSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "zenweb.api.rendering.OneKindOfAnswer",
    "DEFAULT_SCHEMA_CLASS": "zenweb.api.openapi.WireSchema",
    "EXCEPTION_HANDLER": "zenweb.api.errors.answer_error",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "ZenWeb",
    "VERSION": VERSION,
    "DESCRIPTION": "Run templates, and what was run: in ZenML's shapes, so that its clients understand them.",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVERS": [{"url": "/"}],
    "SORT_OPERATION_PARAMETERS": False,
    "POSTPROCESSING_HOOKS": [],
}
DATA_UPLOAD_MAX_MEMORY_SIZE = env_int("ZENWEB_BODY_LIMIT", 10 * 1024 * 1024)
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000
# Of a file that is given to a run. A form's file waits in a temporary file, and no more of it than this.
UPLOAD_LIMIT = env_int("ZENWEB_UPLOAD_LIMIT", 200 * 1000**2)
# Of a whole form: two files that are as large as they may be, beside what is typed.
UPLOAD_REQUEST_LIMIT = 2 * UPLOAD_LIMIT + DATA_UPLOAD_MAX_MEMORY_SIZE
FILE_UPLOAD_HANDLERS = [
    "zenweb.api.uploads.UploadGate",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "zenweb.api.uploads.BoundedTemporaryUpload",
]
WEB_THREADS = env_int("ZENWEB_WEB_THREADS", 160)  # requests that a web process answers at once
if WEB_THREADS < 8:
    raise ImproperlyConfigured(
        f"ZENWEB_WEB_THREADS must be 8 or more, not {WEB_THREADS}: long answers take most of them."
    )
DEPLOYMENT_LIMIT = env_int("ZENWEB_DEPLOYMENT_LIMIT", 64 * 1024 * 1024)
CODE_ARCHIVE_LIMIT = env_int("ZENWEB_CODE_LIMIT", 20 * 1024 * 1024)

# Broker: messages are hints, so publishing one may not make its caller wait (socket times in seconds)
CELERY_BROKER_URL = env("ZENWEB_BROKER_URL", f"redis+socket://{DATA_DIR / 'redis.sock'}")
PUBLISH_OPTIONS = {
    "socket_timeout": 0.3,
    "socket_connect_timeout": 0.3,
    "retry_on_timeout": False,
    "max_retries": 0,
    "interval_start": 0,
}
PUBLISH_PAUSE = timedelta(seconds=5)  # after a failure
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "default"
# A message is acknowledged when its work is done, and a worker holds no more of them than it has free
# slots: a wake-up never waits behind a long step while another worker idles. Redelivery is harmless.
CELERY_TASK_ACKS_LATE = True
# Nor are they kept a second time in Redis until then: a lost one is rung again, and a connection that is lost with
# one in hand has nothing to put back.
CELERY_BROKER_TRANSPORT_OPTIONS = {"ack_emulation": False}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

# Execution
HEARTBEAT_INTERVAL = timedelta(seconds=1)
WORKER_LEASE = timedelta(seconds=env_int("ZENWEB_WORKER_LEASE", 8))
# Warm parents end everything below them well before others may count their worker as dead.
PARENT_LEASE = WORKER_LEASE * 0.6
SHUTDOWN_LIMIT = timedelta(seconds=env_int("ZENWEB_SHUTDOWN_LIMIT", 8))
# Longer than a run's own process bears that it does not reach this server.
LOCAL_RUN_LEASE = timedelta(seconds=env_int("ZENWEB_LOCAL_RUN_LEASE", int(1.5 * patience.SECONDS)))
STOP_GRACE = timedelta(seconds=env_int("ZENWEB_STOP_GRACE", 10))
# How many steps of a queue may run at once, over all workers: each of them must be told the same.
QUEUE_LIMITS = env_numbers("ZENWEB_QUEUE_LIMITS")
# Runs that steps start: how deep one may be started from the other, how many by the steps of one run, and how many in
# all below the one that nobody started from another.
MOST_RUN_DEPTH = env_int("ZENWEB_RUN_DEPTH", 5)
MOST_CHILD_RUNS = env_int("ZENWEB_CHILD_RUNS", 100)
MOST_RUNS_IN_TREE = env_int("ZENWEB_RUNS_IN_TREE", 1000)
# Steps of one worker that wait for runs, each with its process: beyond that it takes only steps of runs that others
# have started.
MOST_WAITING_STEPS = env_int("ZENWEB_WAITING_STEPS", 50)
MAX_WORKER_DEATHS = env_int("ZENWEB_MAX_WORKER_DEATHS", 3)
# How often a step may run that is mapped over lists.
MAX_ELEMENTS = env_int("ZENWEB_MAX_ELEMENTS", 1000)
LOG_LIMIT = env_int("ZENWEB_LOG_LIMIT", 20 * 1024 * 1024)
# What user code may see of the worker's environment: no key of ours, no database, no broker.
STEP_ENVIRONMENT_PATTERNS = env_list(
    "ZENWEB_STEP_ENVIRONMENT", "PATH,HOME,USER,LANG,LC_*,TZ,TMPDIR,LD_LIBRARY_PATH,VIRTUAL_ENV,SSL_CERT_*"
)
STEP_ENVIRONMENT = environment_like(STEP_ENVIRONMENT_PATTERNS)
# The address by which steps reach this server. Empty, and no public address told: steps are told that it is unknown.
STEP_SERVER_URL = (env("ZENWEB_STEP_SERVER_URL") or env("ZENWEB_PUBLIC_URL")).rstrip("/")
# Whom steps run as, by name or number, where the worker is root; "worker": as it does. Empty: somebody else if it can.
STEP_USER = env("ZENWEB_STEP_USER")
# Warm parents of one worker: how many, how much memory they may take together, for how long one may be idle, and
# after what time one is replaced, because what a module computed at import grows stale.
WARM_PARENTS = env_int("ZENWEB_WARM_PARENTS", 8)
WARM_PARENT_MEMORY = env_int("ZENWEB_WARM_PARENT_MEMORY", 2048) * 2**20
WARM_PARENT_IDLE = timedelta(seconds=env_int("ZENWEB_WARM_PARENT_IDLE", 15 * 60))
WARM_PARENT_AGE = timedelta(seconds=env_int("ZENWEB_WARM_PARENT_AGE", 10 * 60))
# A forked process that says nothing for so long before the user's first line hangs, and is started by spawn instead.
CHILD_SILENCE = timedelta(seconds=env_int("ZENWEB_CHILD_SILENCE", 10))
# Where steps say nothing themselves. macOS can fork, but its libraries cannot be forked.
STEP_PROCESS = env_choice("ZENWEB_STEP_PROCESS", "spawn" if sys.platform == "darwin" else "fork", StepProcess)
# Environments of pipelines with requirements. An installer runs strangers' code as well: it sees what steps see, and
# what tells it where packages are.
ENVIRONMENT_LIMIT = timedelta(seconds=env_int("ZENWEB_ENVIRONMENT_LIMIT", 10 * 60))
# Those that no step has used for so long are removed.
KEEP_ENVIRONMENTS = env_days("ZENWEB_KEEP_ENVIRONMENTS", 30)
INSTALLER_ENVIRONMENT_PATTERNS = env_list(
    "ZENWEB_INSTALLER_ENVIRONMENT", "PIP_*,UV_*,*_PROXY,*_proxy,XDG_CACHE_HOME,REQUESTS_CA_BUNDLE"
)
INSTALLER_ENVIRONMENT = STEP_ENVIRONMENT | environment_like(INSTALLER_ENVIRONMENT_PATTERNS)
# Last, so that a uv that was installed beside ZenWeb is found where the system has none.
INSTALLER_ENVIRONMENT["PATH"] = os.pathsep.join(
    [INSTALLER_ENVIRONMENT.get("PATH") or os.defpath, str(Path(sys.executable).parent)]
)
# The record of a schedule's times that made no run; the others stay as long as their runs.
KEEP_FIRINGS = env_days("ZENWEB_KEEP_FIRINGS", 90)
# What a pipeline was put together as with other parameters, when no run and no preset refers to it.
KEEP_DERIVED = env_days("ZENWEB_KEEP_DERIVED", 7)
ARTIFACT_STORE_URI = env("ZENWEB_ARTIFACT_STORE", str(DATA_DIR / "artifacts"))

# Text and time
LANGUAGE_CODE = "en"
USE_I18N = True
# A browser is answered in the one of these that it asks for; each has its catalog in zenweb/locale.
LANGUAGES = [("en", "English")]
LOCALE_PATHS = [BASE_DIR / "zenweb" / "locale"]
TIME_ZONE = env("ZENWEB_TIME_ZONE", "UTC")
USE_TZ = True

# Static files: built into static/dist by `make static`
STATIC_URL = "static/"
STATICFILES_DIRS = [("zenweb", BASE_DIR / "static" / "dist")]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env("ZENWEB_LOG_LEVEL", "INFO")},
    "loggers": {
        "django.request": {"level": "ERROR"},  # every 4xx answer is already told to its caller
        # Two lines for each ring of the doorbell: the ledgers of the runs tell more.
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
    },
}
