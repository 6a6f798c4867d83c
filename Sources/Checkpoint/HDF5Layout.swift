@preconcurrency import CHDF5
import Foundation
import Support
import Tensor

/// An HDF5 file without a name, in memory, whose datasets are holes.
final class HDF5Layout {
  /// Where each entry's bytes go, in the order of the entries.
  let offsets: [Int]
  let byteCount: Int
  private let descriptor: Int32
  /// The holes in the order of the file.
  private let holes: [Range<Int>]

  /// Lays out `entries`, with the library taken.
  init(_ entries: [HDF5Entry], _ scope: HDF5.Scope) throws {
    let (descriptor, path) = try Self.unnamedFile()
    do {
      offsets = try Self.create(path, entries, scope)
    } catch {
      close(descriptor)
      unlink(path)
      throw error
    }
    self.descriptor = descriptor
    byteCount = Int(lseek(descriptor, 0, SEEK_END))
    holes = zip(offsets, entries).map { $0..<$0 + $1.byteCount }.sorted { $0.lowerBound < $1.lowerBound }
  }

  deinit { close(descriptor) }

  /// Copies all that is not a hole.
  func writeSkeleton(to file: OutputFile) throws {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 64)
    defer { buffer.deallocate() }
    var next = 0
    for hole in holes + [byteCount..<byteCount] {
      while next < hole.lowerBound {
        let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, hole.lowerBound - next)])
        guard pread(descriptor, piece.baseAddress!, piece.count, next) == piece.count else {
          throw systemError(file.path, "cannot be copied from memory", EIO)
        }
        try file.write(UnsafeRawBufferPointer(piece), at: next)
        next += piece.count
      }
      next = max(next, hole.upperBound)
    }
  }

  private static func create(_ path: String, _ entries: [HDF5Entry], _ scope: HDF5.Scope) throws -> [Int] {
    func properties(_ kind: hid_t) throws -> hid_t { try scope.take("H5Pcreate", H5Pcreate(kind), H5Pclose) }
    let access = try properties(H5P_CLS_FILE_ACCESS_ID_g)
    // The format of 1.8 has checksums over all its own structures, and every later library reads it.
    try HDF5.check("H5Pset_libver_bounds", H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18))
    try HDF5.check("H5Pset_file_locking", H5Pset_file_locking(access, false, true))
    let links = try properties(H5P_CLS_LINK_CREATE_ID_g)
    try HDF5.check("H5Pset_char_encoding", H5Pset_char_encoding(links, H5T_CSET_UTF8))
    let group = try properties(H5P_CLS_GROUP_CREATE_ID_g)
    try HDF5.check("H5Pset_obj_track_times", H5Pset_obj_track_times(group, false))
    let creation = try properties(H5P_CLS_DATASET_CREATE_ID_g)
    try HDF5.check("H5Pset_layout", H5Pset_layout(creation, H5D_CONTIGUOUS))
    try HDF5.check("H5Pset_alloc_time", H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY))
    try HDF5.check("H5Pset_fill_time", H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER))
    try HDF5.check("H5Pset_obj_track_times", H5Pset_obj_track_times(creation, false))
    // The root group, like all others, holds no time: the same contents are the same bytes.
    let root = try properties(H5P_CLS_FILE_CREATE_ID_g)
    try HDF5.check("H5Pset_obj_track_times", H5Pset_obj_track_times(root, false))
    let file = try scope.take("H5Fcreate", H5Fcreate(path, 2, root, access), H5Fclose)  // 2: H5F_ACC_TRUNC
    unlink(path)
    var groups: Set<String> = ["/"]
    var offsets: [Int] = []
    for entry in entries {
      let parent = Support.folder(of: entry.path)
      if groups.insert(parent).inserted {
        _ = try scope.take("H5Gcreate2", H5Gcreate2(file, parent, links, group, 0), H5Gclose)
      }
      let (type, space) = try form(entry, scope)
      let dataset = try scope.take(
        "H5Dcreate2 \(entry.path)", H5Dcreate2(file, entry.path, type, space, links, creation, 0), H5Dclose)
      let offset = H5Dget_offset(dataset)
      guard entry.byteCount == 0 || offset < UInt64(Int.max) else {
        throw HDF5.Failure(call: "H5Dget_offset \(entry.path)", reason: "no place was given")
      }
      offsets.append(entry.byteCount == 0 ? 0 : Int(offset))
    }
    try scope.close()
    return offsets
  }

  private static func form(_ entry: HDF5Entry, _ scope: HDF5.Scope) throws -> (type: hid_t, space: hid_t) {
    var sizes: [hsize_t]
    let type: hid_t
    switch entry.content {
    case .text, .weightsHash, .partsHash:
      type = try scope.take("H5Tcopy", H5Tcopy(H5T_C_S1_g), H5Tclose)
      try HDF5.check("H5Tset_size", H5Tset_size(type, max(entry.byteCount, 1)))
      try HDF5.check("H5Tset_strpad", H5Tset_strpad(type, H5T_STR_NULLPAD))
      try HDF5.check("H5Tset_cset", H5Tset_cset(type, H5T_CSET_UTF8))
      // An empty text has no room in HDF5, which knows a space without elements instead.
      let space = H5Screate(entry.byteCount == 0 ? H5S_NULL : H5S_SCALAR)
      return (type, try scope.take("H5Screate", space, H5Sclose))
    case .bytes(let data):
      type = try scope.take("H5Tcopy", H5Tcopy(H5T_STD_U8LE_g), H5Tclose)
      sizes = [hsize_t(data.count)]
    case .floats(_, let shape, let stored):
      type = try HDF5.type(NumberFormat(stored), scope)
      sizes = shape.map { hsize_t($0) }
    }
    let space = H5Screate_simple(Int32(sizes.count), &sizes, nil)
    return (type, try scope.take("H5Screate_simple", space, H5Sclose))
  }

  /// A sparse file that loses its name as soon as the library has opened it: in memory if there is a place for that.
  private static func unnamedFile() throws -> (descriptor: Int32, path: String) {
    for folder in ["/dev/shm", NSTemporaryDirectory()] {
      let path = join(folder, "martlet-\(getpid())-\(UInt64.random(in: 0...UInt64.max))")
      let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
      if descriptor >= 0 { return (descriptor, path) }
    }
    throw HDF5.Failure(call: "open", reason: "\(systemMessage(errno)) in /dev/shm and \(NSTemporaryDirectory())")
  }
}
