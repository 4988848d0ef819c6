#include "tests/support/run_program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

namespace heapwalk {
namespace {

using Clock = std::chrono::steady_clock;

struct Child {
  pid_t pid = -1;
  int output = -1;  // read end of its standard output
};

std::vector<char*> c_strings(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// `core_limit` empty: no core. Standard error goes to standard output with `join_errors`, else nowhere.
Child start(std::vector<std::string> arguments, const std::string& directory,
            const std::vector<std::pair<std::string, std::string>>& environment, rlim_t core_limit, bool join_errors) {
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) return {};
  std::vector<char*> argv = c_strings(arguments);
  pid_t pid = fork();
  if (pid == 0) {
    rlimit limit{core_limit, core_limit};
    if (core_limit == RLIM_INFINITY) {
      getrlimit(RLIMIT_CORE, &limit);
      limit.rlim_cur = limit.rlim_max;
    }
    setrlimit(RLIMIT_CORE, &limit);
    if (!directory.empty() && chdir(directory.c_str()) != 0) _exit(126);
    dup2(pipe_ends[1], STDOUT_FILENO);
    int null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(join_errors ? pipe_ends[1] : null, STDERR_FILENO);
    for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  close(pipe_ends[1]);
  return {pid, pipe_ends[0]};
}

// Reads until `until` was seen (when not empty), the end of the output, or the deadline; false at the deadline.
bool read_output(int fd, std::string& output, std::string_view until, Clock::time_point deadline) {
  for (;;) {
    if (!until.empty() && output.find(until) != std::string::npos) return true;
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd request{fd, POLLIN, 0};
    if (poll(&request, 1, static_cast<int>(left)) <= 0) continue;
    char buffer[65536];
    ssize_t got = read(fd, buffer, sizeof buffer);
    if (got <= 0) return true;
    output.append(buffer, static_cast<size_t>(got));
  }
}

int wait_for(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// Cores go to memory where there is enough: a disk takes many times as long as the program.
std::filesystem::path scratch_directory() {
  constexpr uint64_t kEnough = uint64_t{4} << 30;
  std::error_code error;
  auto space = std::filesystem::space("/dev/shm", error);
  if (getenv("TMPDIR") == nullptr && !error && space.available >= kEnough && access("/dev/shm", W_OK) == 0)
    return "/dev/shm";
  return std::filesystem::temp_directory_path();
}

}  // namespace

std::string why_no_kernel_cores() {
  std::ifstream file("/proc/sys/kernel/core_pattern");
  std::string pattern;
  std::getline(file, pattern);
  if (pattern.empty()) return "kernel.core_pattern cannot be read";
  if (pattern.front() == '|' || pattern.find('/') != std::string::npos) {
    return fmt::format("kernel.core_pattern is \"{}\": cores do not go to the working directory", pattern);
  }
  rlimit limit{};
  getrlimit(RLIMIT_CORE, &limit);
  return limit.rlim_max == RLIM_INFINITY ? "" : fmt::format("the hard limit for cores is {} bytes", limit.rlim_max);
}

CommandResult run_command(const std::vector<std::string>& arguments) {
  CommandResult result;
  Child child = start(arguments, "", {}, 0, true);
  if (child.pid < 0) return result;
  if (!read_output(child.output, result.output, "", Clock::now() + std::chrono::minutes(5))) kill(child.pid, SIGKILL);
  close(child.output);
  result.status = wait_for(child.pid);
  return result;
}

ProgramRun::ProgramRun(const RunOptions& options) {
  std::string pattern = (scratch_directory() / "heapwalk-run-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) {
    error_ = "no temporary directory";
    return;
  }
  directory_ = pattern;
  run(options);
}

ProgramRun::~ProgramRun() {
  std::error_code ignored;
  if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
}

std::string ProgramRun::find_core() const {
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    if (entry.is_regular_file() && entry.path().filename().string().starts_with("core")) return entry.path().string();
  }
  return "";
}

void ProgramRun::run(const RunOptions& options) {
  if (options.use_gcore && run_command({"gcore"}).status == 127) skip_reason_ = "gcore is not installed";
  if (!options.use_gcore) skip_reason_ = why_no_kernel_cores();
  if (!skip_reason_.empty()) return;
  rlim_t limit = options.core_limit_bytes == 0 ? RLIM_INFINITY : options.core_limit_bytes;
  Child child = start(options.arguments, directory_, options.environment, limit, false);
  if (child.pid < 0) {
    error_ = "cannot start a process";
    return;
  }
  auto deadline = Clock::now() + std::chrono::seconds(options.timeout_seconds);
  bool in_time = read_output(child.output, output_, options.use_gcore ? "ready\n" : "", deadline);
  std::string gcore_output;
  if (in_time && options.use_gcore) {
    gcore_output = run_command({"gcore", "-o", directory_ + "/core", std::to_string(child.pid)}).output;
  }
  bool ends_itself = !options.use_gcore;
  if (in_time && options.use_gcore && !options.continue_file.empty()) {
    std::ofstream(directory_ + "/" + options.continue_file);
    ends_itself = read_output(child.output, output_, "", deadline);
  }
  if (!in_time || !ends_itself) kill(child.pid, SIGKILL);
  close(child.output);
  int status = wait_for(child.pid);
  core_path_ = find_core();
  if (!core_path_.empty()) return;
  if (gcore_output.find("ptrace") != std::string::npos)
    skip_reason_ = "gcore may not trace processes here";
  else
    error_ = fmt::format("{} left no core (status {}){}", options.arguments.front(), status, gcore_output);
}

}  // namespace heapwalk
