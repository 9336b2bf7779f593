#include "libs/sql/pg.hpp"

#include <optional>
#include <pqxx/pqxx>

namespace tern::sql {
namespace {

constexpr pqxx::oid oid_bool = 16;
constexpr pqxx::oid oid_bytea = 17;
constexpr pqxx::oid oid_int8 = 20;
constexpr pqxx::oid oid_int2 = 21;
constexpr pqxx::oid oid_int4 = 23;

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text = "\\x";
  for (const char c : bytes) {
    text += digits[static_cast<uint8_t>(c) >> 4U];
    text += digits[static_cast<uint8_t>(c) & 15U];
  }
  return text;
}

std::vector<std::optional<std::string>> to_texts(const std::vector<value>& params) {
  std::vector<std::optional<std::string>> texts;
  for (const auto& param : params) {
    if (const auto* number = std::get_if<int64_t>(&param)) {
      texts.emplace_back(std::to_string(*number));
    } else if (const auto* text = std::get_if<std::string>(&param)) {
      texts.emplace_back(*text);
    } else if (const auto* bytes = std::get_if<blob>(&param)) {
      texts.emplace_back(to_hex(bytes->bytes));
    } else {
      texts.emplace_back(std::nullopt);
    }
  }
  return texts;
}

value to_value(const pqxx::field& field) {
  if (field.is_null()) return std::monostate{};
  switch (field.type()) {
    case oid_bool: return int64_t{field.c_str()[0] == 't'};
    case oid_int2:
    case oid_int4:
    case oid_int8: return field.as<int64_t>();
    case oid_bytea: return blob{pqxx::binarystring(field).str()};
    default: return std::string(field.c_str(), field.size());
  }
}

class pg_connection final : public connection {
 public:
  pg_connection(std::string dsn, const connect_options& options) : dsn_(std::move(dsn)), options_(options) {}

  sql::dialect dialect() const override { return dialect::pg; }

  result<void> script(const std::string& text) override {
    return guarded([&](pqxx::connection& c) { pqxx::nontransaction(c).exec(text); });
  }

  result<std::vector<row>> query(const std::string& statement, const std::vector<value>& params) override {
    std::vector<row> rows;
    auto done = guarded([&](pqxx::connection& c) {
      const auto texts = to_texts(params);
      const auto found = pqxx::nontransaction(c).exec_params(statement, pqxx::prepare::make_dynamic_params(texts));
      for (const auto& line : found) {
        auto& made = rows.emplace_back();
        for (const auto& field : line) made.push_back(to_value(field));
      }
      changed_ = static_cast<uint64_t>(found.affected_rows());
    });
    if (!done) return done.error();
    return rows;
  }

  result<void> begin_exclusive(int64_t key) override {
    if (auto begun = begin(); !begun) return begun;
    auto locked = query("select pg_advisory_xact_lock($1::bigint)::text", {key});
    if (locked) return {};
    rollback();
    return locked.error();
  }

  result<void> begin() override {
    auto begun = script("begin");
    in_transaction_ = static_cast<bool>(begun);
    return begun;
  }

  result<void> commit() override {
    in_transaction_ = false;  // from here a lost connection means an unknown outcome
    return script("commit");
  }

  void rollback() override {
    if (connection_ != nullptr) (void)script("rollback");
    in_transaction_ = false;
  }

  result<void> reopen() override {
    connection_.reset();
    in_transaction_ = false;
    try {
      auto made = std::make_unique<pqxx::connection>(dsn_);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
      made->inhibit_reactivation(true);  // libpqxx 6 would otherwise go on silently on a new connection
#pragma GCC diagnostic pop
      connection_ = std::move(made);
    } catch (const std::exception& e) {
      return error{errc::unavailable, e.what()};
    }
    return script("set statement_timeout = " + std::to_string(options_.statement_timeout.count()));
  }

  uint64_t changed() const override { return changed_; }
  uint64_t statements() const override { return statements_; }

 private:
  template <class Work>
  result<void> guarded(Work&& work) {
    if (connection_ == nullptr) return error{errc::unavailable, "postgresql: connection lost"};
    ++statements_;
    try {
      work(*connection_);
      return {};
    } catch (const pqxx::sql_error& e) {
      if (connection_->is_open()) return error{map_sqlstate(e.sqlstate()), e.sqlstate() + ": " + e.what()};
      return lost(e.what());
    } catch (const pqxx::failure& e) {
      return lost(e.what());
    } catch (const std::exception& e) {
      return error{errc::internal, e.what()};
    }
  }

  error lost(const char* what) {
    connection_.reset();
    const auto code = in_transaction_ ? errc::unavailable : errc::deadline;
    in_transaction_ = false;
    return {code, what};
  }

  std::string dsn_;
  connect_options options_;
  std::unique_ptr<pqxx::connection> connection_;
  bool in_transaction_ = false;
  uint64_t changed_ = 0;
  uint64_t statements_ = 0;
};

}  // namespace

result<std::unique_ptr<connection>> open_pg(const std::string& dsn, const connect_options& options) {
  auto made = std::make_unique<pg_connection>(complete_pg_dsn(dsn, options), options);
  if (auto connected = made->reopen(); !connected) return connected.error();
  return std::unique_ptr<connection>(std::move(made));
}

}  // namespace tern::sql
