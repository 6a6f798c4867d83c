/// A pointer that tasks may share: they read only, or each writes its own part.
package struct Shared: @unchecked Sendable {
  package let pointer: UnsafePointer<Float>
  package init(_ pointer: UnsafePointer<Float>) { self.pointer = pointer }
}

package struct SharedMutable: @unchecked Sendable {
  package let pointer: UnsafeMutablePointer<Float>
  package init(_ pointer: UnsafeMutablePointer<Float>) { self.pointer = pointer }
}
