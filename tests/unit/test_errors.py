from __future__ import annotations

import pickle

import pytest

from amqtt import errors

INDEPENDENT = [errors.AMQTTError, errors.MQTTError, errors.BrokerError, errors.ClientError]


@pytest.mark.parametrize(
    ("child", "parent"),
    [
        (errors.ZeroLengthReadError, errors.NoDataError),
        (errors.ConnectError, errors.ClientError),
        (errors.PluginImportError, errors.PluginError),
        (errors.PluginCoroError, errors.PluginError),
        (errors.PluginInitError, errors.PluginError),
        (errors.CodecError, Exception),
        (errors.ProtocolHandlerError, Exception),
        (errors.PluginLoadError, Exception),
    ],
)
def test_parent(child: type[Exception], parent: type[Exception]) -> None:
    assert child.__bases__ == (parent,)


@pytest.mark.parametrize("one", INDEPENDENT)
def test_main_errors_are_caught_separately(one: type[Exception]) -> None:
    assert [other for other in INDEPENDENT if issubclass(one, other)] == [one]


def test_plugin_load_error_is_no_plugin_error() -> None:
    assert not issubclass(errors.PluginLoadError, errors.PluginError)


def test_zero_length_read_error_takes_no_arguments() -> None:
    assert str(errors.ZeroLengthReadError())


def test_connect_error_has_a_return_code() -> None:
    error = errors.ConnectError("refused")
    assert error.return_code is None
    error.return_code = 5
    assert errors.ConnectError("other").return_code is None


def test_plugin_init_error_names_the_plugin() -> None:
    error = errors.PluginInitError(dict)
    assert str(error) == "Plugin init failed: <class 'dict'>"
    assert error.plugin is dict
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
