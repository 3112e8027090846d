// swift-tools-version: 6.2
// The rooms of the house and who may use whom: see docs/architecture.md.
import PackageDescription

/// `make lint` sets NEXA_STRICT: then a warning in one of our own targets, Swift or C, is an error. Not otherwise, so that a newer compiler
/// with new warnings still builds.
let isStrict = Context.environment["NEXA_STRICT"] != nil

/// The same settings for every Swift target: existentials are visible, and members come only from modules a file imports.
let settings: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableExperimentalFeature("Lifetimes"),
        // The run-time checks of exclusive access cost 5 % of a read. Debug builds, `make asan` and `make tsan` keep them.
        .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
    ] + (isStrict ? [.treatAllWarnings(as: .error)] : [])

let package = Package(
    name: "nexadb",
    products: [
        .executable(name: "nexadb", targets: ["nexadb"]),
        .library(name: "NexaClient", targets: ["NexaClient"]),
        .library(name: "NexaClientTLS", targets: ["NexaClientTLS"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.3"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        // Without the traits for configuration files and the whole of Foundation.
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        // Hummingbird's own: the parts of messages that its connections are made of.
        .package(url: "https://github.com/apple/swift-nio-extras.git", from: "1.35.2"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        // System libraries, found by pkg-config; SwiftPM prints the apt hint where they are missing.
        .systemLibrary(name: "CLZ4", path: "CSupport/system/lz4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
        .systemLibrary(
            name: "CXXHash", path: "CSupport/system/xxhash", pkgConfig: "libxxhash", providers: [.apt(["libxxhash-dev"])]),
        .systemLibrary(
            name: "CArgon2", path: "CSupport/system/argon2", pkgConfig: "libargon2", providers: [.apt(["libargon2-dev"])]),
        // The C core is compiled with -O2 in every configuration: tests of the engine run millions of its calls.
        .target(
            name: "CSupport", dependencies: ["CArgon2", "CLZ4", "CXXHash"], path: "CSupport", exclude: ["system", "terminal"],
            sources: ["src"],
            publicHeadersPath: "include",
            cSettings: [
                .define("_GNU_SOURCE"),
                .unsafeFlags(["-O2", "-Wall", "-Wextra", "-Wno-unused-parameter"] + (isStrict ? ["-Werror"] : [])),
            ]),
        .target(name: "NexaWire", dependencies: ["CSupport"], swiftSettings: settings),
        .target(name: "NexaStorage", dependencies: ["CSupport"], swiftSettings: settings),
        .target(name: "NexaReplication", dependencies: ["CSupport", "NexaWire", "NexaStorage"], swiftSettings: settings),
        .target(name: "NexaDocuments", dependencies: ["CSupport", "NexaWire", "NexaStorage"], swiftSettings: settings),
        // TLS alone, so that nothing else waits for BoringSSL's build.
        .target(
            name: "NexaTLS",
            dependencies: [
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOTLS", package: "swift-nio"),
            ], swiftSettings: settings),
        .target(
            name: "NexaServer",
            dependencies: [
                "CSupport", "NexaWire", "NexaStorage", "NexaDocuments", "NexaReplication", "NexaTLS",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ], swiftSettings: settings),
        .target(
            name: "NexaClient",
            dependencies: [
                "NexaWire",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ], swiftSettings: settings + [.enableUpcomingFeature("NonisolatedNonsendingByDefault")]),
        .target(
            name: "NexaClientTLS", dependencies: ["NexaClient", "NexaTLS", .product(name: "NIOCore", package: "swift-nio")],
            swiftSettings: settings),
        // The HTTP/JSON door of the same node.
        .target(
            name: "NexaGateway",
            dependencies: [
                "CSupport", "NexaWire", "NexaStorage", "NexaDocuments", "NexaServer", "NexaTLS",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
            ], exclude: ["OpenAPI/openapi.json"], swiftSettings: settings),
        .target(name: "NexaBlockingClient", dependencies: ["NexaTLS", "NexaWire"], swiftSettings: settings),
        // The terminal's side of the shell, where C is needed.
        .target(
            name: "CTerminal", path: "CSupport/terminal",
            cSettings: [.define("_GNU_SOURCE"), .unsafeFlags(["-Wall", "-Wextra"] + (isStrict ? ["-Werror"] : []))]),
        // The language of `nexadb shell`, apart from the executable so that tests can link it.
        .target(name: "NexaShell", dependencies: ["NexaWire"], swiftSettings: settings),
        // What `nexadb import` and `nexadb export` do, and `nexadb backup`, apart from the executable for the same reason.
        .target(
            name: "NexaTransfer", dependencies: ["CSupport", "NexaBlockingClient", "NexaStorage", "NexaWire"],
            swiftSettings: settings),
        .target(
            name: "NexaBackup", dependencies: ["CSupport", "NexaBlockingClient", "NexaReplication", "NexaStorage", "NexaWire"],
            swiftSettings: settings),
        .target(
            name: "NexaTestKit", dependencies: ["CSupport", "NexaWire", "NexaStorage", "NexaReplication", "NexaDocuments"],
            swiftSettings: settings),
        .executableTarget(
            name: "nexadb",
            dependencies: [
                "CSupport", "CTerminal", "NexaBackup", "NexaBlockingClient", "NexaClient", "NexaDocuments", "NexaGateway",
                "NexaReplication", "NexaServer", "NexaShell", "NexaStorage", "NexaTLS", "NexaTransfer", "NexaWire",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ], swiftSettings: settings,
            // The node is one file: the Swift runtime is linked statically in release builds.
            linkerSettings: [
                .unsafeFlags(
                    ["-static-stdlib", "-l_FoundationCShims", "-l_FoundationCollections", "-lswiftSynchronization"],
                    .when(configuration: .release))
            ]),
        // `make bench-clients`.
        .executableTarget(
            name: "client-bench", dependencies: ["NexaClient", .product(name: "NIOPosix", package: "swift-nio")],
            path: "clients/bench/swift", swiftSettings: settings),
        .testTarget(name: "NexaWireTests", dependencies: ["NexaWire", "CSupport", "NexaTestKit"], swiftSettings: settings),
        .testTarget(name: "NexaStorageTests", dependencies: ["NexaStorage", "CSupport", "NexaTestKit"], swiftSettings: settings),
        .testTarget(
            name: "NexaDocumentsTests", dependencies: ["NexaDocuments", "NexaStorage", "NexaWire", "NexaTestKit"],
            swiftSettings: settings),
        .testTarget(
            name: "NexaServerTests",
            dependencies: [
                "NexaServer", "NexaReplication", "NexaDocuments", "NexaStorage", "NexaWire", "NexaTestKit",
                .product(name: "Logging", package: "swift-log"),
            ], swiftSettings: settings),
        .testTarget(
            name: "NexaToolsTests",
            dependencies: [
                "CSupport", "NexaBackup", "NexaReplication", "NexaShell", "NexaBlockingClient", "NexaTransfer", "NexaWire",
                "NexaStorage", "NexaTestKit",
            ],
            swiftSettings: settings),
        .testTarget(
            name: "NexaGatewayTests",
            dependencies: [
                "NexaGateway", "NexaServer", "NexaDocuments", "NexaStorage", "NexaWire", "NexaTestKit",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ], swiftSettings: settings),
        .testTarget(name: "NexaClientTests", dependencies: ["NexaClient", "NexaClientTLS", "NexaWire"], swiftSettings: settings),
        .testTarget(
            name: "NexaReplicationTests", dependencies: ["NexaReplication", "NexaStorage", "NexaWire", "NexaTestKit"],
            swiftSettings: settings),
        .testTarget(name: "SimulationTests", dependencies: ["NexaReplication", "NexaTestKit"], swiftSettings: settings),
        .testTarget(name: "CrashTests", dependencies: ["NexaStorage", "NexaDocuments", "NexaTestKit"], swiftSettings: settings),
    ],
    cLanguageStandard: .gnu17
)
