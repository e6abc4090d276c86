# Homebrew, for a tap. Read by `ruby -c` here; brew never ran: neither style, audit nor install.
# frozen_string_literal: true

class Fidokit < Formula
  include Language::Python::Virtualenv

  desc "FIDO2 and U2F security keys for people who use SSH"
  homepage "https://fidokit.example.invalid/"
  url "https://fidokit.example.invalid/releases/fidokit-0.1.0.tar.gz"
  sha256 "0" * 64 # put in the one of SHA256SUMS
  license "Apache-2.0"

  depends_on "cryptography"
  depends_on "python@3.14"

  # `brew update-python-resources fidokit` writes one `resource` for each dependency here:
  # bcrypt, click, fido2, markdown-it-py, mdurl, pygments, rich.

  def install
    virtualenv_install_with_resources
    man1.install Dir["docs/*.1"]
    generate_completions_from_executable(bin/"fidokit", "completion")
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/fidokit --version")
    system bin/"fidokit", "virtual", "create", "test"
    assert_match "virtual:test", shell_output("#{bin}/fidokit token list")
  end
end
