// See sibling_connection.hpp.
#include "upstream/sibling_connection.hpp"

#include "upstream/sibling_post.hpp"

#include <utility>

namespace dotrelay {

SiblingConnection::~SiblingConnection() {
  post_.forget(link_);
  if (state_ == State::ready) post_.send(lender_, {.kind = SiblingRecord::Kind::left, .link = link_});
}

bool SiblingConnection::send(Bytes message) {
  return post_.send(lender_,
                    {.kind = SiblingRecord::Kind::query, .link = link_, .address = address_, .message = message});
}

void SiblingConnection::end(CloseKind kind, std::string text) {
  state_ = State::closed;
  close_reason_ = {kind, std::move(text)};
}

}  // namespace dotrelay
