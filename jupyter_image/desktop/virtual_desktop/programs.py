"""The programs: their commands, their environment, and which of them are missing."""

from __future__ import annotations

import shutil
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import folder
from .settings import Size

DATA = Path(__file__).parent / "data"
WALLPAPER = DATA / "share" / "backgrounds" / "virtual-desktop.jpg"
WALLPAPER_CHANNEL = DATA / "templates" / "xfce4-desktop.xml"
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
"""Conda environments have programs of the same names that know nothing of the system's files."""
XFCONF_SERVICE = Path("/usr/share/dbus-1/services/org.xfce.Xfconf.service")
NOVNC = Path("/usr/share/novnc")

XFCE = ("xfsettingsd", "xfwm4", "xfce4-panel", "xfdesktop")
"""XFCE without its session manager, which would start agents and remember windows in the home."""

LEAN = {"GDK_GL": "disable"}
"""XFCE draws without OpenGL, whose software renderer takes 10 MB of each program that merely asks for it."""

PACKAGES = {
    "Xvfb": "xvfb",
    "x11vnc": "x11vnc",
    "dbus-daemon": "dbus",
    "xrandr": "x11-xserver-utils",
    "xclip": "xclip",
    "zenity": "zenity",
    "setpriv": "util-linux",
    "xfsettingsd": "xfce4-settings",
    "xfwm4": "xfwm4",
    "xfce4-panel": "xfce4-panel",
    "xfdesktop": "xfdesktop4",
}
"""Each program, and Debian's package that has it."""

OF_ANOTHER_WORLD = (
    "DBUS_SESSION_BUS_ADDRESS",
    "FONTCONFIG_FILE",
    "FONTCONFIG_PATH",
    "GDK_BACKEND",
    "GDK_PIXBUF_MODULE_FILE",
    "GI_TYPELIB_PATH",
    "GSETTINGS_SCHEMA_DIR",
    "GTK_PATH",
    "SESSION_MANAGER",
    "WAYLAND_DISPLAY",
)
"""What conda's packages or an outer session set: the system's GTK would look there in vain."""


def path_of(program: str) -> str:
    """Where the system's own program is; only to be asked when none is missing."""
    return shutil.which(program, path=SYSTEM_PATH) or program


def missing() -> list[str]:
    """Debian's packages that are not there."""
    packages = [
        package for program, package in PACKAGES.items() if not shutil.which(program, path=SYSTEM_PATH)
    ]
    return packages if (NOVNC / "core" / "rfb.js").exists() else [*packages, "novnc"]


def xvfb(place: Path, largest: Size, number_to: int) -> list[str]:
    """The X server: it finds a free display itself and writes its number to a file descriptor."""
    return [
        path_of("Xvfb"),
        *("-displayfd", str(number_to)),
        *("-screen", "0", f"{largest}x24"),
        *("-auth", str(folder.authority(place))),
        *("-nolisten", "tcp"),
        # A server that resets when its last client goes forgets the sizes it was taught.
        "-noreset",
        *("+extension", "RANDR"),
        *("+extension", "GLX"),
    ]


def x11vnc(place: Path, display: str) -> list[str]:
    """The VNC server, on a Unix socket alone."""
    return [
        path_of("x11vnc"),
        *("-display", display),
        *("-unixsock", str(folder.vnc(place))),
        *("-rfbport", "0"),
        # Without it, x11vnc 0.9.16 listens at port 5900 of all IPv6 addresses, whatever -rfbport says.
        *("-rfbportv6", "-1"),
        *("-passwdfile", f"read:{folder.password(place)}"),
        # Nothing from an old home, no commands, no remote control by X properties.
        *("-norc", "-nocmds", "-noremote", "-nolookup"),
        # Segments of shared memory would outlive an x11vnc that is killed, and nobody would remove them.
        "-noshm",
        # The clipboard goes another way.
        "-nosel",
        *("-forever", "-shared", "-repeat", "-xrandr", "-nodpms", "-quiet"),
    ]


def websockify(place: Path) -> list[str]:
    """The websocket server in front of it, also on a Unix socket, which Debian's 0.10 cannot do."""
    listen = f"--unix-listen={folder.websocket(place)}"
    return [sys.executable, "-P", "-m", "websockify", listen, f"--unix-target={folder.vnc(place)}"]


def dbus(place: Path) -> list[str]:
    """The bus by which XFCE's programs find their settings."""
    return [path_of("dbus-daemon"), "--session", "--nofork", f"--address=unix:path={folder.bus(place)}"]


def size_commands(size: Size, known: Sequence[Size]) -> list[list[str]]:
    """The commands that give the screen a size, of which a mode may be known already."""
    xrandr, mode = path_of("xrandr"), str(size)
    width, height = size.width, size.height
    # Nothing flickers on a screen that is none: any timing will do.
    timing = [60, width, width + 1, width + 2, width + 3, height, height + 1, height + 2, height + 3]
    teach = [
        [xrandr, "--newmode", mode, *map(str, timing)],
        [xrandr, "--addmode", "screen", mode],
    ]
    return [*([] if size in known else teach), [xrandr, "--output", "screen", "--mode", mode]]


def xfconf_service(home_config: Path, system: str) -> str:
    """A D-Bus service file by which XFCE's settings have a folder of their own in the home.

    An old home may have settings of another XFCE, with panels and displays that do not fit here.

    Args:
        home_config: the home's folder of settings.
        system: the text of the system's own service file.
    """
    lines = [
        f'Exec=/usr/bin/env "XDG_CONFIG_HOME={home_config / "virtual-desktop"}" {line.removeprefix("Exec=")}'
        if line.startswith("Exec=")
        else line
        for line in system.splitlines()
    ]
    return "\n".join(lines) + "\n"


def wallpaper_channel(template: str) -> str:
    """The settings of XFCE's desktop with the wallpaper's place, which depends on the installation."""
    return template.replace("@WALLPAPER@", str(WALLPAPER))


def home_config(environment: Mapping[str, str]) -> Path:
    """The home's folder of settings (XDG Base Directory Specification)."""
    return Path(environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME") or "/") / ".config")


def environment(place: Path, display: str, base: Mapping[str, str]) -> dict[str, str]:
    """The environment of the desktop's programs.

    Args:
        place: the desktop's folder.
        display: the X server's, such as ``:3``.
        base: JupyterLab's environment.
    """
    kept = {name: text for name, text in base.items() if name not in OF_ANOTHER_WORLD}
    return {
        **kept,
        "DISPLAY": display,
        "XAUTHORITY": str(folder.authority(place)),
        "XDG_RUNTIME_DIR": str(folder.runtime(place)),
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={folder.bus(place)}",
        "XDG_CONFIG_DIRS": f"{folder.config(place)}:{DATA / 'config'}:/etc/xdg",
        "XDG_DATA_DIRS": f"{DATA / 'share'}:/usr/local/share:/usr/share",
        "XDG_MENU_PREFIX": "xfce-",
        "XDG_CURRENT_DESKTOP": "XFCE",
        "XDG_SESSION_TYPE": "x11",
        # The launchers' own command, which may be in an environment that is not on the path.
        "PATH": f"{base.get('PATH') or SYSTEM_PATH}:{SYSTEM_PATH}:{sysconfig.get_path('scripts')}",
        "LANG": base.get("LANG") or "C.UTF-8",
        # No screen readers here: their bus takes 20 MB and a second.
        "NO_AT_BRIDGE": "1",
        "GTK_A11Y": "none",
        # There is no GPU.
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "VIRTUAL_DESKTOP_FOLDER": str(place),
    }
