#include "services/storage/repositories/sealing/row_cipher.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "libs/base/big_endian.hpp"
#include "libs/crypto/random.hpp"

namespace tern::storage {
namespace {

using crypto::aes_gcm;

constexpr size_t random_part = 7;
constexpr uint64_t counts = uint64_t{1} << 40U;  // what is left of the nonce

/// The header and the place, as what a value is bound to. Kept in `to` for its memory.
template <class... Numbers>
void bind(std::string& to, std::string_view header, char table, Numbers... numbers) {
  to.resize(1 + 8 + 1 + 8 * sizeof...(numbers));
  char* at = to.data();
  std::memcpy(at, header.data(), 9);  // version and key
  at += 9;
  *at++ = table;
  ((at = put_u64(at, numbers)), ...);
}

void bind_to(std::string& to, std::string_view header, const message_row& row) {
  bind(to, header, 'm', row.conversation.hi, row.conversation.lo, row.mid, row.sender.value,
       static_cast<uint64_t>(row.timestamp_ns));
}
void bind_to(std::string& to, std::string_view header, const outbox_row& row) {
  bind(to, header, 'o', row.recipient.value, row.conversation.hi, row.conversation.lo,
       static_cast<uint64_t>(row.kind), row.mid, static_cast<uint64_t>(row.accepted_ns));
}
void bind_to(std::string& to, std::string_view header, const notice_row& row) {
  bind(to, header, 'n', row.account.value, row.id);
}
void bind_to(std::string& to, std::string_view header, const profile_row& row) {
  bind(to, header, 'p', row.account.value);
}
void bind_to(std::string& to, std::string_view header, const room_row& row) {
  bind(to, header, 'r', row.id.value);
  to += row.domain;
}

uint64_t key_in(std::string_view value) { return read_u64(value.data() + 1); }

template <class... Numbers>
std::string shown(const char* table, Numbers... numbers) {
  std::string text = table;
  char digits[20];
  const auto add = [&](uint64_t number) {
    std::snprintf(digits, sizeof digits, " %016llx", static_cast<unsigned long long>(number));
    text += digits;
  };
  (add(numbers), ...);
  return text;
}

}  // namespace

std::string place_of(const message_row& row) {
  return shown("message", row.conversation.hi, row.conversation.lo) + " " + std::to_string(row.mid);
}
std::string place_of(const outbox_row& row) { return "outbox " + std::to_string(row.entry); }
std::string place_of(const notice_row& row) { return shown("notice", row.account.value, row.id); }
std::string place_of(const profile_row& row) { return shown("profile", row.account.value); }
std::string place_of(const room_row& row) { return shown("room", row.id.value); }

bool row_cipher::renewed() {
  if (const auto now = ring_->generation(); now != generation_) {
    generation_ = now;
    const auto key = ring_->current();
    sealing_ = key ? cipher_of(key->id) : nullptr;
    if (sealing_ != nullptr && (header_.empty() || key_in(header_) != key->id)) {
      header_.assign(sealed_header, sealed_version);
      put_u64(header_.data() + 1, key->id);
      sealed_ = counts;
    }
  }
  return sealing_ != nullptr;
}

aes_gcm* row_cipher::cipher_of(uint64_t id) {
  const auto at = std::find_if(known_.begin(), known_.end(), [&](const known& one) { return one.id == id; });
  if (at != known_.end()) return at->cipher.get();
  const auto key = ring_->find(id);
  if (!key) return nullptr;
  known_.push_back({id, std::make_unique<aes_gcm>(key->key)});
  return known_.back().cipher.get();
}

template <class Row>
std::string_view row_cipher::seal_bytes(const Row& row, std::string_view plain) {
  char* const nonce = header_.data() + 9;
  if (sealed_ >= counts) {
    crypto::random_bytes(nonce, random_part);
    sealed_ = 0;
  }
  for (size_t i = 0; i < 5; ++i) nonce[random_part + i] = static_cast<char>(sealed_ >> (8 * i));
  ++sealed_;
  bind_to(bound_, header_, row);
  buffer_.resize(sealed_overhead + plain.size());
  std::memcpy(buffer_.data(), header_.data(), sealed_header);
  sealing_->seal(nonce, bound_, plain, buffer_.data() + sealed_header);
  return buffer_;
}

template <class Row>
bool row_cipher::open_bytes(const Row& row, std::string& value) {
  const bool sealed = value[0] == sealed_version;
  if (!sealed && !ring_->how().refuse_plain) return true;
  if (sealed && value.size() >= sealed_overhead) {
    if (auto* cipher = cipher_of(key_in(value)); cipher != nullptr) {
      bind_to(bound_, value, row);
      char* const at = value.data() + sealed_header;
      if (cipher->open(value.data() + 9, bound_, std::string_view(value).substr(sealed_header), at)) {
        value.erase(0, sealed_header);
        value.resize(value.size() - aes_gcm::tag_size);
        return true;
      }
    }
  }
  value.clear();
  if (ring_->how().refused) ring_->how().refused(place_of(row));
  return false;
}

template std::string_view row_cipher::seal_bytes(const message_row&, std::string_view);
template std::string_view row_cipher::seal_bytes(const outbox_row&, std::string_view);
template std::string_view row_cipher::seal_bytes(const notice_row&, std::string_view);
template std::string_view row_cipher::seal_bytes(const profile_row&, std::string_view);
template std::string_view row_cipher::seal_bytes(const room_row&, std::string_view);
template bool row_cipher::open_bytes(const message_row&, std::string&);
template bool row_cipher::open_bytes(const outbox_row&, std::string&);
template bool row_cipher::open_bytes(const notice_row&, std::string&);
template bool row_cipher::open_bytes(const profile_row&, std::string&);
template bool row_cipher::open_bytes(const room_row&, std::string&);

}  // namespace tern::storage
