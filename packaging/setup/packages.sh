# shellcheck shell=bash
# Which packages each subcommand of ./dev needs, and how to install them. Sourced by ./dev.
#
# On Debian and its derivatives, as root, what is missing is installed. Anyone else is told the names and the command:
# other distributions are not changed by this script.

# Debian's names, by purpose.
packages_for() {
  case $1 in
    build) echo "g++ meson ninja-build pkgconf libuv1-dev libtomlplusplus-dev ca-certificates" ;;
    demo) echo "openssl unbound bind9-dnsutils" ;;
    test)
      echo "doctest-dev python3-pytest python3-pytest-timeout python3-dnspython openssl unbound knot-resolver dnsdist"
      echo "libssl-dev bind9-dnsutils knot-dnsutils dnsmasq-base dnsperf iproute2 iptables procps shellcheck node-yaml"
      # Node.js often comes from elsewhere, with its npm; Debian's would replace it.
      command -v npm > /dev/null || echo "nodejs npm"
      ;;
    fuzz) echo "clang libclang-rt-dev" ;;
    faults) echo "doctest-dev libssl-dev openssl python3-dnspython iproute2 iptables" ;;
    bench) echo "doctest-dev libssl-dev openssl python3-dnspython iproute2 libbenchmark-dev valgrind python3-matplotlib" ;;
    peers) echo "unbound dnsdist stubby knot-resolver smartdns nginx libnginx-mod-stream haproxy stunnel4" ;;
    format) echo "clang-format" ;;
  esac
}

# Debian's name -> "Alpine Fedora Arch", where it is not the same everywhere; "-" where there is no such package.
names_elsewhere() {
  case $1 in
    g++) echo "g++ gcc-c++ gcc" ;;
    ninja-build) echo "samurai ninja-build ninja" ;;
    pkgconf) echo "pkgconf pkgconf-pkg-config pkgconf" ;;
    libuv1-dev) echo "libuv-dev libuv-devel libuv" ;;
    libtomlplusplus-dev) echo "tomlplusplus-dev tomlplusplus-devel tomlplusplus" ;;
    doctest-dev) echo "doctest-dev doctest-devel doctest" ;;
    python3-pytest) echo "py3-pytest python3-pytest python-pytest" ;;
    python3-pytest-timeout) echo "py3-pytest-timeout python3-pytest-timeout python-pytest-timeout" ;;
    python3-dnspython) echo "py3-dnspython python3-dns python-dnspython" ;;
    libssl-dev) echo "openssl-dev openssl-devel openssl" ;;
    libbenchmark-dev) echo "benchmark-dev google-benchmark-devel benchmark" ;;
    python3-matplotlib) echo "py3-matplotlib python3-matplotlib python-matplotlib" ;;
    bind9-dnsutils) echo "bind-tools bind-utils bind" ;;
    knot-dnsutils) echo "knot-utils knot-utils knot" ;;
    dnsperf) echo "dnsperf dnsperf -" ;;
    knot-resolver) echo "knot-resolver knot-resolver knot-resolver" ;;
    iproute2) echo "iproute2 iproute iproute2" ;;
    procps) echo "procps procps-ng procps-ng" ;;
    dnsmasq-base) echo "dnsmasq dnsmasq dnsmasq" ;;
    shellcheck) echo "shellcheck ShellCheck shellcheck" ;;
    libclang-rt-dev) echo "compiler-rt compiler-rt compiler-rt" ;;
    clang-format) echo "clang-extra-tools clang-tools-extra clang" ;;
    node-yaml) echo "- - -" ;;
    # Faults are played to those forwarders that are there, and the same are measured.
    dnsdist | stubby | smartdns) echo "- - -" ;;
    libnginx-mod-stream) echo "nginx-mod-stream nginx-mod-stream -" ;;
    stunnel4) echo "stunnel stunnel stunnel" ;;
    npm) echo "npm nodejs-npm npm" ;;
    *) echo "$1 $1 $1" ;;
  esac
}

# The package manager of this machine: apt, apk, dnf, pacman or none.
package_manager() {
  local pair
  for pair in apt-get:apt apk:apk dnf:dnf pacman:pacman; do
    if command -v "${pair%%:*}" > /dev/null; then
      echo "${pair##*:}"
      return
    fi
  done
  echo none
}

# Prints those of the given packages (the manager's own names) that are not installed.
missing_packages() {
  local manager=$1 package
  shift
  if [ "$manager" = apt ]; then
    # One call for all: a second run of ./dev should cost milliseconds.
    comm -23 <(printf '%s\n' "$@" | sort -u) \
      <(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' "$@" 2> /dev/null |
        sed -n 's/^installed //p' | sort -u)
    return
  fi
  for package in "$@"; do
    case $manager in
      apk) apk info -e "$package" ;;
      dnf) rpm -q "$package" ;;
      pacman) pacman -Q "$package" ;;
    esac > /dev/null 2>&1 || echo "$package"
  done
}

# need_packages PURPOSE...: makes sure the packages of these purposes are there, or says what to install and exits.
need_packages() {
  local manager purpose column package command wanted missing
  manager=$(package_manager)
  # Without a package manager there is nobody to ask; the build itself says what it misses.
  [ "$manager" != none ] || return 0
  mapfile -t wanted < <(for purpose in "$@"; do packages_for "$purpose"; done | tr ' ' '\n')
  case $manager in apk) column=1 ;; dnf) column=2 ;; pacman) column=3 ;; *) column=0 ;; esac
  if [ "$column" -gt 0 ]; then
    mapfile -t wanted < <(
      for package in "${wanted[@]}"; do names_elsewhere "$package" | cut -d ' ' -f "$column"; done |
        grep -vx -e - | sort -u)
  fi
  mapfile -t missing < <(missing_packages "$manager" "${wanted[@]}")
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$manager" = apt ] && [ "$(id -u)" -eq 0 ]; then
    install_with_apt "${missing[@]}"
    return
  fi
  case $manager in
    apt) command="apt-get install --no-install-recommends" ;;
    apk) command="apk add" ;;
    dnf) command="dnf install" ;;
    pacman) command="pacman -S --needed" ;;
  esac
  [ "$(id -u)" -eq 0 ] || command="sudo $command"
  {
    echo "These packages are missing: ${missing[*]}"
    echo "Install them, then run this again:"
    echo "  $command ${missing[*]}"
  } >&2
  exit 1
}

# Resolvers among the packages would start as services of the system, some on port 53. Debian asks policy-rc.d first.
install_with_apt() {
  local policy=/usr/sbin/policy-rc.d log status=0
  log=$(mktemp)
  echo "installing: $*"
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\n# For the time of an installation by ./dev: start no services.\nexit 101\n' > "$policy"
    chmod +x "$policy"
    own_policy=$policy
  fi
  export DEBIAN_FRONTEND=noninteractive
  {
    apt-get -q update &&
      apt-get -q -y -o Dpkg::Use-Pty=0 install --no-install-recommends "$@"
  } > "$log" 2>&1 < /dev/null || status=$?
  remove_own_policy
  [ "$status" -eq 0 ] || cat "$log" >&2
  rm -f "$log"
  if [ "$status" -ne 0 ]; then
    echo "apt-get could not install: $*" >&2
    exit 1
  fi
  keep_services_off "$@"
}

remove_own_policy() {
  [ -z "${own_policy:-}" ] || rm -f "$own_policy"
  own_policy=
}

# What was just installed for tests must not start with the next boot either.
keep_services_off() {
  local package unit
  command -v systemctl > /dev/null || return 0
  for package in "$@"; do
    case $package in unbound | knot-resolver | dnsdist | stubby | smartdns | nginx | haproxy | stunnel4) ;; *) continue ;; esac
    for unit in $(dpkg-query --listfiles "$package" | sed -n 's|^.*/systemd/system/\([^/]*\.\(service\|target\)\)$|\1|p'); do
      systemctl disable --quiet "$unit" > /dev/null 2>&1 || true
    done
  done
}
