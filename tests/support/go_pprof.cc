#include "tests/support/go_pprof.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "tests/support/temporary_directory.h"

namespace heapwalk::test {
namespace {

// The go command, in PATH or where its installer puts it.
std::string find_go() {
  std::string path = std::getenv("PATH") == nullptr ? "" : std::getenv("PATH");
  for (size_t begin = 0; begin <= path.size();) {
    size_t end = std::min(path.find(':', begin), path.size());
    std::filesystem::path candidate = std::filesystem::path(path.substr(begin, end - begin)) / "go";
    std::error_code ignored;
    if (std::filesystem::is_regular_file(candidate, ignored)) return candidate.string();
    begin = end + 1;
  }
  std::error_code ignored;
  return std::filesystem::is_regular_file("/usr/local/go/bin/go", ignored) ? "/usr/local/go/bin/go" : "";
}

std::vector<std::string> pprof_command(const std::string& directory, std::vector<std::string> arguments) {
  std::vector<std::string> command = {"env",
                                      "-C",
                                      directory,
                                      "GOFLAGS=",
                                      "GOTOOLCHAIN=local",
                                      "GO111MODULE=off",
                                      "PPROF_TMPDIR=" + directory,
                                      "PPROF_BINARY_PATH=" + directory};
  // Newer versions of Go build the tool on first use, into a cache that needs a place.
  if (std::getenv("HOME") == nullptr) command.push_back("HOME=" + directory);
  command.insert(command.end(), {find_go(), "tool", "pprof"});
  for (std::string& argument : arguments) command.push_back(std::move(argument));
  return command;
}

constexpr timeval kPatience{.tv_sec = 20, .tv_usec = 0};  // with one page
constexpr int kSecondsToStart = 90;                       // newer versions of Go build the tool first

sockaddr_in local(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// 0: none. Another process may take it before it is used: then the server does not start.
uint16_t free_port() {
  const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = local(0);
  socklen_t length = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  const bool is_bound = ::bind(probe, any, length) == 0 && ::getsockname(probe, any, &length) == 0;
  ::close(probe);
  return is_bound ? ntohs(address.sin_port) : 0;
}

}  // namespace

CommandOutput run_go_pprof(const std::string& directory, std::vector<std::string> arguments) {
  return run_captured(pprof_command(directory, std::move(arguments)));
}

GoPprofServer::GoPprofServer(const std::string& directory, const std::string& profile) : port_(free_port()) {
  const std::string log = directory + "/pprof.log";
  std::vector<std::string> command =
      pprof_command(directory, {fmt::format("-http=127.0.0.1:{}", port_), "-no_browser", profile});
  std::vector<char*> argv;
  for (std::string& argument : command) argv.push_back(argument.data());
  argv.push_back(nullptr);
  process_ = ::fork();
  if (process_ == 0) {
    ::setpgid(0, 0);
    ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
    ::dup2(::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), STDOUT_FILENO);
    ::dup2(STDOUT_FILENO, STDERR_FILENO);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  ::setpgid(process_, process_);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(kSecondsToStart);
  while (std::chrono::steady_clock::now() < deadline) {
    for (const char* prefix : {"/ui", ""}) {
      prefix_ = prefix;
      if (get("/top").status == 200) return;
    }
    if (::waitpid(process_, nullptr, WNOHANG) == process_) {
      process_ = -1;
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  std::ifstream text(log);
  error_ = "no answer from pprof: " + std::string(std::istreambuf_iterator<char>(text), {});
}

GoPprofServer::~GoPprofServer() {
  if (process_ <= 0) return;
  ::kill(-process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
}

GoPprofServer::Page GoPprofServer::get(const std::string& path) const {
  return request(prefix_ + path);
}

GoPprofServer::Page GoPprofServer::request(const std::string& path) const {
  const int connection = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ::setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  ::setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  const sockaddr_in address = local(port_);
  const std::string request = fmt::format("GET {} HTTP/1.0\r\nHost: 127.0.0.1:{}\r\n\r\n", path, port_);
  Page page;
  if (::connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::send(connection, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size())) {
    char buffer[65536];
    for (ssize_t got; (got = ::recv(connection, buffer, sizeof buffer, 0)) > 0;)
      page.text.append(buffer, static_cast<size_t>(got));
  }
  ::close(connection);
  if (std::sscanf(page.text.c_str(), "HTTP/%*d.%*d %d", &page.status) != 1) page.status = 0;
  return page;
}

std::string why_no_go_pprof() {
  static const std::string reason = [] {
    if (find_go().empty()) return std::string("go is not installed, so pprof cannot read the profiles");
    TemporaryDirectory directory;
    CommandOutput help = run_go_pprof(directory.path().string(), {"-h"});
    bool works = (help.out + help.err).find("-diff_base") != std::string::npos;
    return works ? std::string() : "`go tool pprof` does not run: " + help.err.substr(0, 300);
  }();
  return reason;
}

}  // namespace heapwalk::test
