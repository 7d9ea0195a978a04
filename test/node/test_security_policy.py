"""The SROS 2 policy allows what the node does on the network, and nothing that it never does."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ir_vis_fusion.types import Role
import pytest

POLICY = Path(__file__).resolve().parents[2] / 'config' / 'sros2' / 'fusion_node.policy.xml'
RULES = {
    'topics': ({'publish', 'subscribe'}, 'topic'),
    'services': ({'reply', 'request'}, 'service'),
}
# Published or subscribed only with parameters that this test does not set, or by some versions
# of rclpy only.
OPTIONAL = {
    'subscribe': {
        '/clock',
        '/depth/image_raw',
        '/parameter_events',
        '/tf',
        '/tf_static',
        '/thermal/camera_info',
    },
    'publish': {'/fused/points'},
    'reply': {'/fusion_node/get_type_description', '/fusion_node/save_snapshot'},
}


def allowed(kind: str, node: str = 'fusion_node') -> set[str]:
    """Return a node's full names under one qualifier (publish, subscribe, reply, request)."""
    profile = ElementTree.parse(POLICY).getroot().find('enclaves/enclave/profiles/profile')
    names = {
        expression.text for rule in profile if rule.get(kind) == 'ALLOW' for expression in rule
    }
    assert profile.get('node') == 'fusion_node'
    return {full(name, profile.get('ns'), node) for name in names}


def full(name: str, namespace: str, node: str) -> str:
    """Resolve a name as SROS 2 does: ~ is the node, / the root, all else the namespace."""
    inside = namespace.rstrip('/') + '/'
    if name.startswith('~'):
        return f'{inside}{node}{name[1:]}'
    return name if name.startswith('/') else inside + name


def test_the_policy_has_the_form_that_sros2_takes() -> None:
    """As in sros2/policy/schemas/policy.xsd of version 0.2.0."""
    root = ElementTree.parse(POLICY).getroot()
    assert (root.tag, root.attrib) == ('policy', {'version': '0.2.0'})
    assert [child.tag for child in root] == ['enclaves']
    for enclave in root[0]:
        assert (enclave.tag, set(enclave.attrib)) == ('enclave', {'path'})
        for profile in enclave.findall('profiles/profile'):
            assert set(profile.attrib) == {'ns', 'node'}
            assert len(profile) > 0
            for rule in profile:
                qualifiers, expression = RULES[rule.tag]
                assert set(rule.attrib) <= qualifiers
                assert set(rule.attrib.values()) <= {'ALLOW', 'DENY'}
                assert len(rule) > 0
                assert all(one.tag == expression and one.text.strip() == one.text for one in rule)


def test_no_name_is_a_wildcard() -> None:
    for kind in ('publish', 'subscribe', 'reply', 'request'):
        assert not [name for name in allowed(kind) if set('*?[') & set(name)]


@pytest.mark.ros
@pytest.mark.parametrize('transport', ['raw', 'compressed'])
def test_the_policy_allows_what_a_live_node_does_and_names_nothing_else(
    rig: Any, transport: str
) -> None:
    pytest.importorskip('rclpy')
    from sensor_msgs.msg import CompressedImage, Image

    kind, end = (Image, '') if transport == 'raw' else (CompressedImage, '/compressed')
    # A name of its own: the graph may still know a fusion_node of an earlier test.
    name = f'policed_{transport}'
    node = rig.make_node(
        *('-r', f'__node:={name}'),
        thermal_transport=transport,
        visible_transport=transport,
        thermal__ffc_topic='thermal/calibrating',
    )
    assert node.start()
    # Nothing is subscribed while nobody listens.
    rig.listen()
    for role in Role:
        rig.tester.create_publisher(kind, f'{role.value}/image_raw{end}', 10)

    def does(kind: str) -> set[str]:
        of = {
            'publish': node.get_publisher_names_and_types_by_node,
            'subscribe': node.get_subscriber_names_and_types_by_node,
            'reply': node.get_service_names_and_types_by_node,
        }[kind]
        return {topic for topic, _ in of(name, '/')}

    # Subscribed when the publishers are seen; listed when discovery has gone round.
    rig.spin_until(lambda: f'/visible/image_raw{end}' in does('subscribe'))
    rig.spin_until(lambda: f'/thermal/image_raw{end}' in does('subscribe'))
    rig.spin_until(lambda: f'/{name}/get_state' in does('reply'))
    other = '/compressed' if transport == 'raw' else ''
    others = {f'/{role.value}/image_raw{other}' for role in Role}
    for kind in ('publish', 'subscribe', 'reply'):
        found = does(kind)
        optional = {one.replace('fusion_node', name) for one in OPTIONAL[kind]}
        assert found <= allowed(kind, name), kind
        assert allowed(kind, name) - found <= optional | others, kind
