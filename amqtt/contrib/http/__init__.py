"""Ask an HTTP service who may connect and what clients may do with topics."""

from amqtt.contrib.http.config import (
    ACLError,
    HttpConfig,
    ParamsMode,
    RequestMethod,
    ResponseMode,
)
from amqtt.contrib.http.plugins import (
    AuthHttpPlugin,
    HttpAuthTopicPlugin,
    TopicAuthHttpPlugin,
    UserAuthHttpPlugin,
)

__all__ = [
    "ACLError",
    "AuthHttpPlugin",
    "HttpAuthTopicPlugin",
    "HttpConfig",
    "ParamsMode",
    "RequestMethod",
    "ResponseMode",
    "TopicAuthHttpPlugin",
    "UserAuthHttpPlugin",
]
