"The workbench on a real S3 server."

from seaweed import READER, Seaweed

from ragwb.settings import Settings


def test_the_server(seaweed: Seaweed, s3_settings: Settings) -> None:
    bucket = s3_settings.storage.split("/")[2]
    seaweed.client().put_object(Bucket=bucket, Key="team/a.md", Body=b"text")
    assert seaweed.client(READER).get_object(Bucket=bucket, Key="team/a.md")["Body"].read() == b"text"
