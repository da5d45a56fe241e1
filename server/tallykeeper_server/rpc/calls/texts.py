"""Texts of requests that are not UTF-8: finds the fields, which protobuf's own error does not name."""

from collections.abc import Iterator
from functools import cache

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass


def broken_text_fields(message_type: Descriptor, raw: bytes) -> list[str]:
    """Return the paths of the texts that are not UTF-8, such as ``keys[2].item``.

    protobuf's own error does not name them. So the contract is described once more with bytes in place of strings, and
    the message is parsed by that. Return an empty list if all texts are UTF-8: the bytes are no message then.
    """
    shadow_class = GetMessageClass(_shadow_pool(message_type.file).FindMessageTypeByName(message_type.full_name))
    try:
        shadow = shadow_class.FromString(raw)
    except DecodeError:
        return []
    return list(_broken_texts(shadow, message_type))


def _broken_texts(shadow: Message, message_type: Descriptor) -> Iterator[str]:
    for shadow_field, content in shadow.ListFields():
        field = message_type.fields_by_number[shadow_field.number]
        is_list = not hasattr(content, "SerializeToString") and not isinstance(content, (bytes, int, float))
        for index, value in enumerate(content if is_list else [content]):
            path = f"{field.name}[{index}]" if is_list else field.name
            if field.message_type is not None:
                yield from (f"{path}.{inner}" for inner in _broken_texts(value, field.message_type))
            elif field.type == FieldDescriptor.TYPE_STRING and not _is_utf8(value):
                yield path


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


@cache
def _shadow_pool(file: FileDescriptor) -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    _add_shadow(pool, file, set())
    return pool


def _add_shadow(pool: descriptor_pool.DescriptorPool, file: FileDescriptor, added: set[str]) -> None:
    if file.name in added:
        return
    added.add(file.name)
    for dependency in file.dependencies:
        _add_shadow(pool, dependency, added)
    description = FileDescriptorProto()
    file.CopyToProto(description)
    for message in description.message_type:
        _texts_to_bytes(message)
    pool.Add(description)


def _texts_to_bytes(message: DescriptorProto) -> None:
    if message.options.map_entry:  # no request has a map, and protobuf allows no bytes as its keys
        return
    for field in message.field:
        if field.type == FieldDescriptorProto.TYPE_STRING:
            field.type = FieldDescriptorProto.TYPE_BYTES
    for nested in message.nested_type:
        _texts_to_bytes(nested)
