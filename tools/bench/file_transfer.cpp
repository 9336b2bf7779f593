#include "tools/bench/file_transfer.hpp"

#include <openssl/evp.h>

#include <cstring>
#include <random>

#include "libs/base/big_endian.hpp"

namespace tern::bench {
namespace {

using namespace std::chrono_literals;

constexpr char kind_piece = 'D';
constexpr char kind_word = 'A';
constexpr size_t piece_head = 9;   // kind, offset
constexpr size_t word_bytes = 10;  // kind, offset, hole

std::chrono::steady_clock::time_point now() { return std::chrono::steady_clock::now(); }

}  // namespace

struct digest::state {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
};

digest::digest() : state_(std::make_unique<state>()) { EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr); }
digest::~digest() { EVP_MD_CTX_free(state_->context); }
void digest::add(std::string_view bytes) { EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()); }

std::string digest::finish() {
  unsigned char raw[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_DigestFinal_ex(state_->context, raw, &size);
  static constexpr const char* digits = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    text += digits[raw[i] >> 4U];
    text += digits[raw[i] & 15U];
  }
  return text;
}

file_transfer::file_transfer(client::loop& loop, const file_plan& plan, put_function put_piece, put_function put_word)
    : loop_(loop),
      plan_(plan),
      put_piece_(std::move(put_piece)),
      put_word_(std::move(put_word)),
      sender_(plan),
      receiver_(plan) {
  std::mt19937_64 random(1);
  block_.reserve(plan.chunk + 8);
  while (block_.size() < plan.chunk) append_u64(block_, random());
  block_.resize(plan.chunk);
}

file_transfer::~file_transfer() { *alive_ = false; }

void file_transfer::start() {
  pump();
  tick();
}

/// Each piece of the file has its offset in it, so no two are alike.
void file_transfer::fill_piece(const send_window::piece& which) {
  message_.clear();
  message_ += kind_piece;
  append_u64(message_, which.offset);
  message_.append(block_, 0, which.size);
  for (size_t i = 0; i < 8 && i < which.size; ++i) message_[piece_head + i] ^= message_[1 + i];
}

void file_transfer::pump() {
  while (const auto piece = sender_.next(now())) {
    fill_piece(*piece);
    if (piece->offset == hashed_) {
      sent_.add(std::string_view(message_).substr(piece_head));
      hashed_ += piece->size;
    }
    put_piece_(message_);
  }
}

void file_transfer::tick() {
  if (complete()) return;
  if (sender_.expire(now())) pump();
  loop_.after(20ms, [this, alive = alive_] {
    if (*alive) tick();
  });
}

void file_transfer::at_receiver(std::string_view message) {
  if (message.size() <= piece_head || message[0] != kind_piece) return;
  const auto data = message.substr(piece_head);
  if (receiver_.take(read_u64(message.data() + 1), data.size()) == receive_window::verdict::taken) {
    received_.add(data);
  }
  if (!receiver_.acknowledgement_due()) return;
  std::string word(1, kind_word);
  append_u64(word, receiver_.arrived());
  word += static_cast<char>(receiver_.hole() ? 1 : 0);
  put_word_(word);
}

void file_transfer::at_sender(std::string_view message) {
  if (message.size() != word_bytes || message[0] != kind_word) return;
  sender_.acknowledge(read_u64(message.data() + 1), message[word_bytes - 1] != 0, now());
  pump();
}

bool file_transfer::same_digest() {
  if (!complete()) return false;
  if (sent_digest_.empty()) {
    sent_digest_ = sent_.finish();
    received_digest_ = received_.finish();
  }
  return sent_digest_ == received_digest_;
}

}  // namespace tern::bench
