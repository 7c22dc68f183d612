#include "scheduler/process/worker_process.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <deque>
#include <fstream>
#include <sstream>
#include <utility>

#include "base/error.h"
#include "base/subprocess.h"
#include "protocol/frames.h"

namespace hearth {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr const char* worker_role = "internal-worker";

// The last lines of a log as one.
std::string one_line(std::string log) {
  while (!log.empty() && log.back() == '\n') log.pop_back();
  std::string line;
  for (const char c : log) {
    if (c == '\n') {
      line += "; ";
    } else {
      line += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    }
  }
  return line;
}

// A child and the connection to it. Handlers that are under way keep it alive after its owner has let go; it
// is mute from then on.
class Link : public std::enable_shared_from_this<Link> {
 public:
  Link(const asio::any_io_executor& executor, const std::string& program, WorkerEvents events)
      : child_(worker_role, program), socket_(executor), timer_(executor), events_(std::move(events)) {
    const int descriptor = child_.release_socket();
    error_code failure;
    socket_.assign(asio::local::stream_protocol(), descriptor, failure);
    if (!failure) return;
    ::close(descriptor);
    throw Error(Code::io, fmt::format("cannot watch a worker's socket: {}", failure.message()),
                "check the limits on open files");
  }

  void read() {
    socket_.async_read_some(asio::buffer(chunk_),
                            [self = shared_from_this()](const error_code& failure, size_t bytes) {
                              self->on_read(failure, bytes);
                            });
  }

  void send(std::string frame) {
    outgoing_.push_back(std::move(frame));
    if (outgoing_.size() == 1) write();
  }

  // The end of the connection is not waited for: a process that the child left behind could hold it open.
  void kill() {
    child_.kill();
    reap();
  }
  const Subprocess& child() const { return child_; }

  // Ends the child and all that is under way.
  void abandon() {
    events_ = {};
    error_code ignored;
    socket_.close(ignored);
    timer_.cancel();
    child_.kill();
    child_.wait_and_describe();
  }

 private:
  void write() {
    asio::async_write(socket_, asio::buffer(outgoing_.front()),
                      [self = shared_from_this()](const error_code& failure, size_t) {
                        // A peer that is gone shows on the reading side.
                        if (failure) return;
                        self->outgoing_.pop_front();
                        if (!self->outgoing_.empty()) self->write();
                      });
  }

  void on_read(const error_code& failure, size_t bytes) {
    if (failure) return kill();  // the connection ended, so the process does, or is made to
    take({chunk_.data(), bytes});
    if (socket_.is_open()) read();
  }

  void take(std::string_view bytes) {
    if (!fault_.empty()) return;
    try {
      frames_.append(bytes);
      while (auto message = frames_.next()) {
        if (!events_.message) return;  // abandoned meanwhile
        events_.message(decode_from_child(*message));
      }
    } catch (const Error& e) {
      fault_ = fmt::format("was stopped: {}", e.message);
      kill();
    }
  }

  void reap() {
    if (reaping_ || !socket_.is_open()) return;
    reaping_ = true;
    timer_.expires_after(std::chrono::milliseconds(1));
    timer_.async_wait([self = shared_from_this()](const error_code& failure) {
      self->reaping_ = false;
      if (failure || !self->socket_.is_open()) return;
      const auto how = self->child_.try_describe();
      if (how) return self->finish(*how);
      self->reap();
    });
  }

  void finish(const std::string& how) {
    // What it said before it went.
    for (ssize_t got = 1; got > 0;) {
      got = ::recv(socket_.native_handle(), chunk_.data(), chunk_.size(), MSG_DONTWAIT);
      if (got > 0) take({chunk_.data(), static_cast<size_t>(got)});
    }
    error_code ignored;
    socket_.close(ignored);
    std::string line = fault_.empty() ? how : fault_;
    if (const std::string log = one_line(child_.log_tail()); !log.empty()) line += ": " + log;
    const WorkerEvents events = std::exchange(events_, {});
    if (events.ended) events.ended(line);
  }

  Subprocess child_;
  asio::local::stream_protocol::socket socket_;
  asio::steady_timer timer_;
  WorkerEvents events_;
  FrameReader frames_;
  std::array<char, 65536> chunk_;
  std::deque<std::string> outgoing_;
  std::string fault_;     // why it was stopped: it said what is no message
  bool reaping_ = false;  // the timer runs
};

class WorkerProcess final : public WorkerHandle {
 public:
  explicit WorkerProcess(std::shared_ptr<Link> link) : link_(std::move(link)) { link_->read(); }
  ~WorkerProcess() override { link_->abandon(); }

  void send(const ToChild& message) override { link_->send(frame_of(encode(message))); }
  void kill() override { link_->kill(); }
  bool alive() const override { return link_->child().running(); }

  // proc(5), /proc/PID/stat: behind the name in parentheses come 50 numbers; the 10th and 12th of the line
  // count page faults, the 14th and 15th processor time.
  Progress progress() const override {
    std::ifstream file(fmt::format("/proc/{}/stat", link_->child().pid()));
    std::string line;
    std::getline(file, line);
    const size_t name = line.rfind(')');
    if (name == std::string::npos) return {};
    std::istringstream fields(line.substr(name + 1));
    std::string state;
    fields >> state;
    std::array<int64_t, 16> number{};
    for (size_t i = 4; i < number.size(); ++i) fields >> number[i];
    return {static_cast<uint64_t>(number[14] + number[15]), static_cast<uint64_t>(number[10] + number[12])};
  }

 private:
  std::shared_ptr<Link> link_;
};

}  // namespace

ProcessFactory::ProcessFactory(asio::any_io_executor executor, std::string program)
    : executor_(std::move(executor)), program_(std::move(program)) {}

std::unique_ptr<WorkerHandle> ProcessFactory::start(WorkerEvents events) {
  return std::make_unique<WorkerProcess>(std::make_shared<Link>(executor_, program_, std::move(events)));
}

}  // namespace hearth
