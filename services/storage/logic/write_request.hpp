// A write on its way through a shard's writer, and the answers that come out.
#pragma once

#include <tern/session/v1/session.pb.h>
#include <tern/storage/v1/storage.pb.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libs/base/clock.hpp"
#include "libs/rpc/network.hpp"
#include "services/storage/repositories/store.hpp"

namespace tern::storage {

using reply_sink = rpc::sink<v1::StorageReply>;

/// One StorageRequest with a write in it. What login work prepared travels beside it.
struct write_request {
  v1::StorageRequest message;
  std::shared_ptr<reply_sink> from;      // who waits for the answer
  clock::time_point arrived;             // when the service took it in
  clock::time_point deadline;            // afterwards it is answered with an error, whatever the database does
  std::optional<account_row> account;    // AccountCreate: the row, password hashed
  std::optional<token_row> token;        // TokenIssue: the row; TokenLogin: hash and account
  std::string token_text;                // TokenIssue: the answer
  std::optional<password_row> password;  // PasswordChange: the new hash

  // What an attempt decided whose outcome is not known.
  uint8_t in_doubt = 0;            // not 0: of which of the batches that were tried at once
  v1::StorageReply planned_reply;  // the answer, if it was committed
};

struct answer {
  std::shared_ptr<reply_sink> to;
  v1::StorageReply reply;
  v1::StorageRequest::OpCase op = v1::StorageRequest::OP_NOT_SET;  // of the request; for metrics
  clock::time_point arrived;
};

/// The answer to a request that is done with.
answer make_answer(write_request& item, v1::StorageReply reply);
/// The same with nothing but a code.
answer make_answer(write_request& item, errc code);

/// Sends the answers, those of one stream together and in order. A stream that takes no more is ended: its owner asks
/// again on the next one.
void send_answers(std::vector<answer>& answers);

}  // namespace tern::storage
