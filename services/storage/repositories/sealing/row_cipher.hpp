// Seals what people wrote in rows, and opens it (docs/adr/0014-encryption-at-rest.md).
//
// A sealed value: version (1 byte), id of the data key (8), nonce (12), ciphertext, tag (16). The version is no first
// byte of a Thrift compact struct or of a protobuf message, so a value that was stored before is known as such. An
// empty value stays empty.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libs/crypto/aead.hpp"
#include "services/storage/repositories/sealing/key_ring.hpp"
#include "services/storage/repositories/store.hpp"

namespace tern::storage {

inline constexpr char sealed_version = '\x8F';
inline constexpr size_t sealed_header = 1 + 8 + crypto::aes_gcm::nonce_size;
inline constexpr size_t sealed_overhead = sealed_header + crypto::aes_gcm::tag_size;

/// What a value of each table is bound to besides its data key: the columns that say whose it is, so that a value put
/// into another row does not open there. Not the shard, and of the outbox not the entry's number: moves between
/// shards change them.
std::string place_of(const message_row& row);
std::string place_of(const outbox_row& row);
std::string place_of(const notice_row& row);
std::string place_of(const profile_row& row);
std::string place_of(const room_row& row);

/// Used by one thread at a time; keeps a cipher for each key it met. Without a ring rows are as they are.
class row_cipher {
 public:
  explicit row_cipher(std::shared_ptr<key_ring> ring = nullptr) : ring_(std::move(ring)) {}

  const std::shared_ptr<key_ring>& ring() const noexcept { return ring_; }

  /// The value as it is stored; valid until the next call.
  std::string_view seal(const message_row& row) { return seal_at(row, row.body); }
  std::string_view seal(const outbox_row& row) { return seal_at(row, row.payload); }
  std::string_view seal(const notice_row& row) { return seal_at(row, row.body); }
  std::string_view seal(const profile_row& row) { return seal_at(row, row.bean); }
  std::string_view seal(const room_row& row) { return seal_at(row, row.bean); }

  /// Turns the stored value into the plain one. False: refused and told to sealing::refused; the value is empty then.
  [[nodiscard]] bool open(message_row& row) { return open_at(row, row.body); }
  [[nodiscard]] bool open(outbox_row& row) { return open_at(row, row.payload); }
  [[nodiscard]] bool open(notice_row& row) { return open_at(row, row.body); }
  [[nodiscard]] bool open(profile_row& row) { return open_at(row, row.bean); }
  [[nodiscard]] bool open(room_row& row) { return open_at(row, row.bean); }
  [[nodiscard]] bool open(outbox_entry& entry) {
    const bool good = open(entry.row);
    return (!entry.message || open(*entry.message)) && good;
  }

  /// How values begin that are sealed with the current key (9 bytes); empty without one.
  std::string current_header() { return ring_ && renewed() ? header_.substr(0, 9) : std::string(); }

  /// Leaves out the rows that do not open. False: there were some, and none is left.
  template <class Rows>
  [[nodiscard]] bool open_all(Rows& rows) {
    return std::erase_if(rows, [this](auto& row) { return !open(row); }) == 0 || !rows.empty();
  }

 private:
  struct known {
    uint64_t id;
    std::unique_ptr<crypto::aes_gcm> cipher;
  };
  template <class Row>
  std::string_view seal_at(const Row& row, const std::string& plain) {
    return ring_ && !plain.empty() && renewed() ? seal_bytes(row, plain) : std::string_view(plain);
  }
  template <class Row>
  bool open_at(Row& row, std::string& value) {
    return !ring_ || value.empty() || open_bytes(row, value);
  }
  template <class Row>
  std::string_view seal_bytes(const Row& row, std::string_view plain);
  template <class Row>
  bool open_bytes(const Row& row, std::string& value);
  /// Follows the ring's current key. False: there is none.
  bool renewed();
  crypto::aes_gcm* cipher_of(uint64_t id);

  std::shared_ptr<key_ring> ring_;
  uint64_t generation_ = ~uint64_t{0};
  crypto::aes_gcm* sealing_ = nullptr;  // of the current key
  std::vector<known> known_;
  std::string header_;   // version, key, nonce: its first 7 bytes random per key and object, then a counter
  uint64_t sealed_ = 0;  // with this nonce's random part
  std::string buffer_, bound_;
};

}  // namespace tern::storage
