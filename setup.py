"""The part of the build that pyproject.toml cannot say: the library that OpenSSH's programs load.

Where no C compiler is, the package installs without it, and says so when it is asked for.
"""

from __future__ import annotations

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

SOURCE = "src/fidokit/provider/sk_fidokit.c"
FLAGS = ["-std=c11", "-O2", "-Wall", "-Wextra", "-fvisibility=hidden", "-fstack-protector-strong"]


class PlainLibrary(build_ext):
    """Shared libraries that are no modules: their names carry no version of Python."""

    def get_ext_filename(self, fullname: str) -> str:
        """fidokit/provider/sk_fidokit.so."""
        return fullname.replace(".", "/") + ".so"


class AnyPython(bdist_wheel):
    """A wheel for one platform and every Python 3."""

    def get_tag(self) -> tuple[str, str, str]:
        """The library calls nothing of Python's."""
        return "py3", "none", super().get_tag()[2]


def library(name: str, sk_api: int) -> Extension:
    """One version of OpenSSH's sk-api.h."""
    return Extension(
        f"fidokit.provider.{name}",
        [SOURCE],
        define_macros=[("FIDOKIT_SK_API", str(sk_api))],
        extra_compile_args=FLAGS,
        libraries=["dl"],  # before glibc 2.34 dladdr is there
        optional=True,
    )


setup(
    ext_modules=[library("sk_fidokit", 10), library("sk_fidokit_9", 9)],
    cmdclass={"build_ext": PlainLibrary, "bdist_wheel": AnyPython},
)
