#include "worker/session.h"

#include "base/error.h"

namespace hearth {

Session::Session(const LoadRequest& request, Outbox out)
    : model_(OpenModel::open(request.path), request),
      templates_(model_.files()),
      formats_(*model_.files().tokenizer),
      breakers_(*model_.files().tokenizer),
      sequences_(model_.engine()),
      out_(std::move(out)) {}

from_child::Ready Session::ready() {
  const Plan& plan = model_.engine().plan();
  from_child::Ready ready{model_.files().name, model_.device_names(), {},
                          plan.context,        model_.load_seconds(), plan.notes};
  for (uint32_t d = 0; d < plan.devices.size(); ++d) {
    if (plan.uses(d)) ready.held.push_back(plan.devices[d]);
  }
  return ready;
}

void Session::start(const to_child::Start& m) {
  try {
    const WorkContext context{model_.files(),        templates_, formats_, breakers_, model_.engine(),
                              model_.load_seconds(), out_};
    auto job = m.request.embed.empty() && m.request.embed_tokens.empty()
                   ? make_generation(m.id, m.request, context)
                   : make_embedding(m.id, m.request, context);
    if (!job->over()) jobs_.push_back(std::move(job));
  } catch (const Error& e) {
    out_(from_child::Failed{m.id, e.code, e.message, e.remedy});
  }
}

void Session::cancel(RequestId id) {
  for (const auto& job : jobs_) {
    if (job->id == id) job->cancel(sequences_);
  }
  forget();
}

bool Session::step() {
  place();
  if (jobs_.empty()) return sequences_.step();
  // What goes wrong in a step ends the requests that were running, what goes wrong with one of them ends that
  // one, and only a lost device the worker.
  try {
    sequences_.step();
  } catch (const Error& e) {
    if (model_.engine().lost()) throw;
    for (const auto& job : jobs_) job->fail(sequences_, e);
    forget();
    return true;
  }
  for (const auto& job : jobs_) {
    try {
      job->advance(sequences_);
    } catch (const Error& e) {
      if (model_.engine().lost()) throw;
      job->fail(sequences_, e);
    }
  }
  forget();
  return true;
}

void Session::place() {
  for (const auto& job : jobs_) {
    if (!job->waiting()) continue;
    try {
      job->place(sequences_);
    } catch (const Error& e) {
      if (model_.engine().lost()) throw;
      if (e.code == Code::busy && sequences_.running() > 0) break;  // first come, first served
      job->fail(sequences_, e);
    }
  }
  forget();
}

void Session::forget() {
  std::erase_if(jobs_, [](const auto& job) { return job->over(); });
}

}  // namespace hearth
