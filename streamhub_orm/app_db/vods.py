"""Recordings, and the further files that they exist in."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Index, and_, literal_column, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from streamhub_orm.app_db.base import AppBase
from streamhub_orm.schema import (
    SQL_NOW,
    EnumText,
    UtcIso,
    UtcSql,
    one_of,
    tracked_json,
)


class VodStatus(StrEnum):
    """Progress of a recording."""

    RECORDING = "recording"
    UPLOADING = "uploading"
    READY = "ready"
    FAILED = "failed"


class VariantKind(StrEnum):
    """Part that a variant plays for its recording."""

    MASTER = "master"
    RENDITION = "rendition"
    ALTERNATE = "alternate"


class Vod(AppBase):
    """A recording, from its start on. Written by the recorder, the uploader and the console."""

    __tablename__ = "vods"
    __table_args__ = (
        one_of("status", VodStatus),
        Index("idx_vods_status", "status"),
        Index("idx_vods_stream", "stream_id"),
        Index("idx_vods_room", "room"),
        Index("idx_vods_started_at", "started_at"),
        Index("idx_vods_status_started", "status", "started_at"),
        Index(
            "idx_vods_egress",
            text("json_extract(metatags_json, '$.egressId')"),
            sqlite_where=text("json_valid(metatags_json)"),
        ),
        Index(
            "idx_vods_stream_in_progress",
            "stream_id",
            sqlite_where=text("status IN ('recording', 'uploading')"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)

    app_id: Mapped[int]
    stream_id: Mapped[str | None]
    room: Mapped[str | None]
    name: Mapped[str]
    file_key: Mapped[str | None]
    s3_url: Mapped[str | None]
    public_url: Mapped[str | None]
    size_bytes: Mapped[int | None]
    duration_s: Mapped[float | None]
    width: Mapped[int | None]
    height: Mapped[int | None]
    format: Mapped[str | None]
    status: Mapped[VodStatus] = mapped_column(
        EnumText(VodStatus),
        server_default=VodStatus.RECORDING.value,
    )
    local_path: Mapped[str | None]
    started_at: Mapped[datetime | None] = mapped_column(UtcIso)
    ended_at: Mapped[datetime | None] = mapped_column(UtcIso)
    metatags_json: Mapped[dict[str, Any] | None] = mapped_column(tracked_json())
    snapshot_key: Mapped[str | None]

    # Each relationship makes each query for recordings 1 us slower; the stream is found by its key.
    variants: Mapped[list["VodVariant"]] = relationship(
        primaryjoin="Vod.id == foreign(VodVariant.vod_id)",
        order_by="VodVariant.id",
        viewonly=True,
        lazy="raise",
    )

    @classmethod
    def written_by_egress(cls, egress_id: str) -> ColumnElement[bool]:
        """Return the condition that idx_vods_egress serves; it says all that the index says."""
        return cls.metatags_json["egressId"] == egress_id

    @classmethod
    def in_progress(cls, stream_id: str) -> ColumnElement[bool]:
        """Return the condition that idx_vods_stream_in_progress serves: being recorded or uploaded.

        The statuses are literals: bound, SQLite cannot tell that they are those of the index.
        """
        return and_(
            cls.stream_id == stream_id,
            cls.status.in_([literal_column("'recording'"), literal_column("'uploading'")]),
        )


class VodVariant(AppBase):
    """A file of a recording. Written by the transcoder.

    vod_id has no foreign key: the service deletes variants together with their stored objects.
    """

    __tablename__ = "vod_variants"
    __table_args__ = (
        one_of("kind", VariantKind),
        Index("idx_vod_variants_vod", "vod_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)

    vod_id: Mapped[int]
    kind: Mapped[VariantKind] = mapped_column(
        EnumText(VariantKind),
        server_default=VariantKind.RENDITION.value,
    )
    format: Mapped[str]
    height: Mapped[int | None]
    bitrate_kbps: Mapped[int | None]
    file_key: Mapped[str | None]
    size_bytes: Mapped[int | None]
    extra_json: Mapped[dict[str, Any] | None] = mapped_column(tracked_json())
    created_at: Mapped[datetime] = mapped_column(UtcSql, server_default=SQL_NOW)
