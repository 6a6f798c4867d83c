import Support

/// Why a program's reply is none.
package struct UnreadableReply: Error {
  package let reason: String

  package init(_ reason: String) { self.reason = reason }
}

extension ProgramWorker {
  package typealias Members = [(key: String, value: JSONValue)]

  /// Asks the program and reads its reply.
  /// - Parameters:
  ///   - fault: makes the error from what was wrong.
  ///   - read: turns the members of the reply into what they say.
  package func ask<Reply>(
    _ request: JSONValue, fault: (String) -> MartletError, read: (Members) throws(UnreadableReply) -> Reply
  ) throws -> Reply {
    let reply: Members
    do {
      reply = try ask(request)
    } catch let failure as Failure {
      throw fault(failure.text(command))
    }
    do {
      return try read(reply)
    } catch {
      throw fault("answered \(JSONValue.object(reply).text.prefix(200)): \(error.reason)")
    }
  }
}

extension NamedNumbers {
  /// The member `parts` of a reply.
  package init(parts value: JSONValue) throws(UnreadableReply) {
    guard case .object(let members) = value else { throw UnreadableReply("parts must be an object") }
    var parts: [String: Double] = [:]
    for (name, value) in members {
      guard case .number(let number, _) = value, number.isFinite else {
        throw UnreadableReply("parts.\(name) must be a finite number")
      }
      parts[name] = number
    }
    self.init(parts)
  }
}
