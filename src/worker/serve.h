#pragma once

namespace hearth {

// The role of a worker process: one model, requests in, events out, over the socket `fd` until the peer
// leaves. Enters the sandbox before it reads anything. Returns the exit code.
int serve_worker(int fd);

}  // namespace hearth
