#include "heapwalk/cli/output_file.h"

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace heapwalk::cli {
namespace {

bool is_standard_output(const std::string& path) {
  return path.empty() || path == "-";
}

// All of `text`, or false with errno.
bool write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    ssize_t written = write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

// Runs `fill` over an Output to the descriptor; the errno of the first failure, or 0.
int write_document(int descriptor, const std::function<void(Output&)>& fill) {
  int failure = 0;
  Output output([&](std::string_view block) {
    if (write_all(descriptor, block)) return true;
    failure = errno;
    return false;
  });
  fill(output);
  output.flush();
  return failure;
}

std::unexpected<Error> file_error(const std::string& path, const char* doing, int error) {
  return fail("{}: {}: {}", path, doing, std::strerror(error));
}

// Where the bytes shall end up: through symbolic links, so that a link stays one.
std::string real_target(const std::string& path) {
  char* resolved = realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return path;
  std::string target(resolved);
  std::free(resolved);
  return target;
}

std::string directory_of(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

// The permissions that a file created by open() would have, or those of the file to be replaced.
mode_t mode_of(const std::string& target) {
  struct stat status{};
  if (stat(target.c_str(), &status) == 0) return status.st_mode & 0777;
  mode_t mask = umask(0);
  umask(mask);
  return 0666 & ~mask;
}

Result<void> replace_file(const std::string& path, const std::string& target,
                          const std::function<void(Output&)>& fill) {
  std::string temporary = target + ".XXXXXX";
  int descriptor = mkstemp(temporary.data());
  if (descriptor < 0) return file_error(path, "creating a temporary file beside it", errno);
  int failure = write_document(descriptor, fill);
  if (failure == 0 && fchmod(descriptor, mode_of(target)) != 0) failure = errno;
  if (close(descriptor) != 0 && failure == 0) failure = errno;
  if (failure == 0 && rename(temporary.c_str(), target.c_str()) != 0) failure = errno;
  if (failure == 0) return {};
  unlink(temporary.c_str());
  return file_error(path, "writing", failure);
}

}  // namespace

Result<void> write_output(const std::string& path, const std::function<void(Output&)>& write) {
  if (is_standard_output(path)) {
    int failure = write_document(STDOUT_FILENO, write);
    if (failure == 0 || failure == EPIPE) return {};
    return file_error("standard output", "writing", failure);
  }
  std::string target = real_target(path);
  struct stat status{};
  bool exists = stat(target.c_str(), &status) == 0;
  if (!exists || S_ISREG(status.st_mode)) return replace_file(path, target, write);
  int descriptor = open(target.c_str(), O_WRONLY | O_CLOEXEC);
  if (descriptor < 0) return file_error(path, "opening for writing", errno);
  int failure = write_document(descriptor, write);
  if (close(descriptor) != 0 && failure == 0) failure = errno;
  if (failure != 0) return file_error(path, "writing", failure);
  return {};
}

Result<void> check_output(const std::string& path) {
  if (is_standard_output(path)) return {};
  std::string target = real_target(path);
  struct stat status{};
  if (stat(target.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    if (S_ISDIR(status.st_mode)) return file_error(path, "opening for writing", EISDIR);
    if (access(target.c_str(), W_OK) != 0) return file_error(path, "opening for writing", errno);
    return {};
  }
  if (access(directory_of(target).c_str(), W_OK | X_OK) != 0) {
    return file_error(path, "creating a temporary file beside it", errno);
  }
  return {};
}

bool is_same_file(const std::string& a, const std::string& b) {
  struct stat first{}, second{};
  return stat(a.c_str(), &first) == 0 && stat(b.c_str(), &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

}  // namespace heapwalk::cli
