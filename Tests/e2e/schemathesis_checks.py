"""What schemathesis checks beside its own: 501, 503 and 504 are answers of a node that has reasons; 500 never is."""
import schemathesis


@schemathesis.check
def no_internal_error(ctx, response, case):
    assert response.status_code != 500, response.text[:2000]
