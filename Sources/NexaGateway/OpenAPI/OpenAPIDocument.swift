// Made from openapi.json by Tests/scripts/openapi.py: change that file.
// swift-format-ignore-file

enum OpenAPIDocument {
    static let text = ##"""
        {"openapi":"3.1.0","info":{"title":"NexaDB","version":"0.1.0"},"paths":{}}
        """##
}
