# What the project needs from a Debian system, and how it gets there. Sourced by bin/setup, which also fills the lanes' roots.

# Ruby, the gems and the server all come from the distribution, so that setting up needs no gem server.
packages=(
  build-essential libclang-dev                       # the extension: linker and bindgen
  ruby ruby-dev ruby-bundler rake
  ruby-activejob ruby-activerecord ruby-actionmailer ruby-railties
  ruby-pg ruby-fugit ruby-thor ruby-rack puma        # what the gem and its demo run on
  ruby-rspec rubocop                                 # what they are tested with
  postgresql
  procps util-linux iproute2                         # ps; flock, runuser, unshare; ip
)

# Other queues that the benchmarks compare with. Installed where the distribution has them; where it does not, a benchmark says so.
optional_packages=(
  ruby-sidekiq redis-tools
  ruby-delayed-job ruby-delayed-job-active-record
)

# missing PACKAGE…: those that are not installed.
missing() {
  local package
  for package in "$@"; do
    dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || echo "$package"
  done
}

# available PACKAGE…: those that apt knows a version of.
available() {
  local package
  for package in "$@"; do
    case $(apt-cache policy "$package" 2>/dev/null) in '' | *'Candidate: (none)'*) ;; *) echo "$package" ;; esac
  done
}

# install_packages LOG
install_packages() {
  local needed wanted
  mapfile -t needed < <(missing "${packages[@]}")
  if [ "${#needed[@]}" -gt 0 ]; then
    if [ "$(id -u)" -ne 0 ]; then
      echo "Missing packages; install them with: sudo apt-get install ${needed[*]}" >&2
      return 1
    fi
    # A fresh image has no package lists, an old one has lists that name versions the mirror has dropped.
    apt-get update --quiet=2 && apt_install "$1" "${needed[@]}" || { tail -n 20 "$1" >&2; return 1; }
  fi
  mapfile -t wanted < <(available $(missing "${optional_packages[@]}"))
  if [ "${#wanted[@]}" -eq 0 ] || [ "$(id -u)" -ne 0 ]; then return; fi
  apt_install "$1.optional" "${wanted[@]}" || echo "Could not be installed, and can be done without: ${wanted[*]}"
}

# apt_install LOG PACKAGE…
apt_install() {
  local log=$1
  shift
  echo "Installing $*"
  DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --assume-yes --no-install-recommends "$@" </dev/null >"$log" 2>&1
}
