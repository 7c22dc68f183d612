#pragma once

#include "cli/api_client.h"

namespace hearth {

// Sends a request whose answer is a stream of statuses, and shows them on standard error until "success".
// Throws the server's Error, or Error(io) if the stream ends without success.
void follow_progress(ApiClient& client, const std::string& path, const Json& body);

}  // namespace hearth
