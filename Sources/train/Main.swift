import CProcessor
import Commands

/// Compiled for every processor of the architecture, unlike `Commands` and all below it.
@main
enum Main {
  static func main() {
    martlet_require_processor(CommandLine.argc, CommandLine.unsafeArgv)
    Train.main()
  }
}
