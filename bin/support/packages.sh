# What the project needs from a Debian system, and how it gets there. Sourced by bin/setup, which also fills the lanes' roots.

# Ruby, the gems and the server all come from the distribution, so that setting up needs no gem server.
packages=(
  build-essential libclang-dev                       # the extension: linker and bindgen
  ruby ruby-dev ruby-bundler rake
  ruby-activejob ruby-activerecord ruby-actionmailer ruby-railties
  ruby-pg ruby-fugit ruby-thor ruby-rack puma        # what the gem and its demo run on
  ruby-rspec rubocop                                 # what they are tested with
  postgresql
  procps util-linux                                  # ps; flock, runuser, unshare
)

missing_packages() {
  local package
  for package in "${packages[@]}"; do
    dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || echo "$package"
  done
}

install_packages() {
  local missing
  mapfile -t missing < <(missing_packages)
  [ "${#missing[@]}" -eq 0 ] && return
  if [ "$(id -u)" -ne 0 ]; then
    echo "Missing packages; install them with: sudo apt-get install ${missing[*]}" >&2
    return 1
  fi
  echo "Installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # A fresh image has no package lists, an old one has lists that name versions the mirror has dropped.
  apt-get update --quiet=2 &&
    apt-get install --quiet=2 --assume-yes --no-install-recommends "${missing[@]}" </dev/null >"$1" 2>&1 ||
    { tail -n 20 "$1" >&2; return 1; }
}
