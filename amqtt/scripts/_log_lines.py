"""Write the log of a command, also many lines at once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

    StreamHandler = logging.StreamHandler[TextIO]
else:  # Python 3.10 has no such index
    StreamHandler = logging.StreamHandler


class LineHandler(StreamHandler):
    """Write records to the standard error stream; their format must end with the message.

    `amqtt._engine.logs` has it write many lines at once.
    """

    def line_start(self, logger: logging.Logger, level: int) -> str:
        """Return what stands before a text that is logged now.

        Args:
            logger: the logger.
            level: the level.

        """
        return self.format(logger.makeRecord(logger.name, level, __file__, 0, "", (), None))

    def write_lines(self, lines: Sequence[str]) -> None:
        """Write complete lines, all at once.

        Args:
            lines: the lines, without their ends.

        """
        self.acquire()
        try:
            self.stream.write("".join(line + self.terminator for line in lines))
            self.flush()
        except Exception:  # as emit() does: a broken pipe is no reason to stop
            self.handleError(_record_of(lines))
        finally:
            self.release()


def _record_of(lines: Sequence[str]) -> logging.LogRecord:
    text = lines[0] if lines else ""
    return logging.LogRecord(__name__, logging.INFO, __file__, 0, text, (), None)
