"""The command `otppi`.

What an application server uses is loaded without the parts of a device, which need not be installed there.
"""

import importlib.util
import sys

import click

import otppi

# What each is called, the module of its click command, and that command.
_FOR_SERVERS = {
    "publish": ("otppi.publisher.cli", "publish"),
    "ws-broker": ("otppi.wsbroker.cli", "ws_broker"),
}


class _Program(click.Group):
    """The commands for servers, and those of the device where it is installed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        device = self._device()
        return sorted([*_FOR_SERVERS, *(device.list_commands(ctx) if device is not None else ())])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _FOR_SERVERS:
            module, name = _FOR_SERVERS[cmd_name]
            command: click.Command = getattr(importlib.import_module(module), name)
            return command
        device = self._device()
        if device is None:
            ctx.fail(f"{cmd_name}: only the commands for application servers are installed here")
        return device.get_command(ctx, cmd_name)

    def _device(self) -> click.Group | None:
        if importlib.util.find_spec("bottle") is None:
            return None  # one of the libraries that only a device has
        from otppi.services.cli import main as device

        return device


@click.group(cls=_Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(otppi.__version__, prog_name="otppi")
def main() -> None:
    """OTP-Pi: one-time passwords by SMS from your own modems."""


if __name__ == "__main__":
    sys.exit(main())
