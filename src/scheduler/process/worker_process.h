#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <string>

#include "scheduler/worker_handle.h"

namespace hearth {

// Starts workers as child processes of `program` (this very one, unless a test says otherwise) in the role
// `internal-worker`, and speaks with them over asynchronous sockets.
class ProcessFactory final : public WorkerFactory {
 public:
  explicit ProcessFactory(boost::asio::any_io_executor executor, std::string program = "/proc/self/exe");

  std::unique_ptr<WorkerHandle> start(WorkerEvents events) override;

 private:
  boost::asio::any_io_executor executor_;
  std::string program_;
};

}  // namespace hearth
