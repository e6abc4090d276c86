# Nix: `nix-build packaging/fidokit.nix`. Read by nix-instantiate --parse here; never evaluated with nixpkgs or built.
{ pkgs ? import <nixpkgs> { } }:

pkgs.python3Packages.buildPythonApplication {
  pname = "fidokit";
  version = "0.1.0";
  pyproject = true;
  src = ./..;

  build-system = [ pkgs.python3Packages.setuptools ];
  dependencies = with pkgs.python3Packages; [ bcrypt click cryptography fido2 rich ];
  optional-dependencies = with pkgs.python3Packages; {
    pcsc = [ pyscard ];
    otp = [ pyotp segno ];
  };
  nativeBuildInputs = [ pkgs.installShellFiles ];

  # What a store path holds cannot be written later: the libraries lie beside their sources.
  postInstall = ''
    site=$out/${pkgs.python3.sitePackages}/fidokit
    flags="-std=c11 -O2 -fPIC -shared -fvisibility=hidden -DFIDOKIT_SK_API=10"
    $CC $flags -o $site/provider/sk_fidokit.so $site/provider/sk_fidokit.c
    $CC $flags -o $site/lab/fidokit_hidraw_nodes.so $site/lab/hidraw_nodes.c
    install -D -m 644 -t $out/lib/udev/rules.d src/fidokit/system/70-fidokit.rules
    installManPage docs/*.1
    installShellCompletion --cmd fidokit \
      --bash <($out/bin/fidokit completion bash) \
      --zsh <($out/bin/fidokit completion zsh) \
      --fish <($out/bin/fidokit completion fish)
  '';

  meta = {
    description = "FIDO2 and U2F security keys for people who use SSH";
    homepage = "https://fidokit.example.invalid/";
    license = pkgs.lib.licenses.asl20;
    mainProgram = "fidokit";
  };
}
